"""Weights that are fetched once and kept: the same vectors, whole or not at all."""

import json
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import open_clip
import pytest
import torch
from archives import write_openai
from named_models import OPENAI, SIGLIP, built, register
from processes import dead, partial_of
from safetensors.torch import save_file

from tpsnet import cli
from tpsnet.backbone import keep_weights, load_backbone
from tpsnet.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning")


@pytest.fixture
def named(tmp_path, monkeypatch):
    register(monkeypatch, tmp_path)
    return tmp_path


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def served(named, monkeypatch):
    """A server of OpenAI's archive of a small network, which the tag ``openai`` names."""
    write_openai(named / "served.pt", built("Small").state_dict(), size=32)
    monkeypatch.setenv("HOME", str(named / "home"))  # where open_clip keeps what it fetches
    monkeypatch.setenv("no_proxy", "*")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(named))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/served.pt"
        tag = OPENAI | {"url": url, "quick_gelu": True, "resize_mode": "squash", "interpolation": "bilinear"}
        monkeypatch.setitem(open_clip.pretrained._PRETRAINED, "Small", {"openai": tag})
        yield
        server.shutdown()


def test_what_was_fetched_gives_the_same_vectors_from_its_folder(served, named, monkeypatch, capsys):
    monkeypatch.chdir(named)
    assert cli.main(["prepare", "weights", "Small", "openai", "kept"]) == 0
    address = f"local-dir:{named / 'kept'}"
    assert capsys.readouterr().out == f"kept Small openai; use it with --model {address}\n"
    assert sorted(file.name for file in (named / "kept").iterdir()) == [
        "open_clip_config.json",
        "open_clip_model.safetensors",
    ]
    first = load_backbone("Small", "openai")
    monkeypatch.setattr("open_clip.download_pretrained", None)
    kept = load_backbone(address)
    assert (kept.identity, kept.preprocessing, kept.resize) == (
        first.identity,
        first.preprocessing,
        first.resize,
    )
    assert kept.quick_gelu and str(kept.resize) == "32 squash bilinear"
    images = torch.rand(2, 3, 32, 32)
    assert torch.equal(kept.encode_image(images), first.encode_image(images))
    assert torch.equal(kept.encode_text(["an ant"]), first.encode_text(["an ant"]))
    theirs, _, transform = open_clip.create_model_and_transforms(address)
    assert any(type(m).__name__ == "QuickGELU" for m in theirs.modules()) and "bilinear" in str(transform)


def test_no_network_is_one_line(named, monkeypatch, capsys):
    """The port was free a moment ago; nobody listens there."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        url = f"http://127.0.0.1:{server.server_port}/x.pt"
    monkeypatch.setenv("HOME", str(named / "home"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, "Small", {"openai": OPENAI | {"url": url}})
    assert cli.main(["prepare", "weights", "Small", "openai", str(named / "kept")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot fetch the weights openai of Small" in line and "refused" in line
    assert not (named / "kept").exists()


@pytest.mark.parametrize("model", ["SmallSquash", "SmallRN"])
def test_a_weights_file_is_kept_too(named, model):
    """A custom text tower with SigLIP's preprocessing, and a ResNet."""
    save_file(built(model).state_dict(), named / "x.safetensors")
    folder = keep_weights(model, str(named / "x.safetensors"), named / "a" / "kept")
    config = json.loads((folder / "open_clip_config.json").read_text())
    if model == "SmallSquash":
        assert config["preprocess_cfg"] == json.loads(
            json.dumps(SIGLIP | {"size": [32, 32], "mode": "RGB", "fill_color": 0})
        )
    kept, first = load_backbone(f"local-dir:{folder}"), load_backbone(model, str(named / "x.safetensors"))
    images = torch.rand(2, 3, *first.resize.sides)
    assert torch.equal(kept.encode_image(images), first.encode_image(images))
    assert not kept.quick_gelu and kept.preprocessing == first.preprocessing


def test_a_folder_in_use_is_refused_before_anything_is_fetched(named, monkeypatch):
    monkeypatch.setattr("open_clip.download_pretrained", None)
    (named / "file").touch()
    for place in ("file", "."):
        with pytest.raises(InputError, match=r"there is something at .* already; name a new folder"):
            keep_weights("Small", "openai", named / place)


def test_what_a_killed_call_left_is_removed_before_anything_is_fetched(named, monkeypatch):
    left, other = (partial_of(dead(), named / name) for name in ("kept", "other"))
    fetch = load_backbone

    def fetched(*given: str) -> object:
        assert not left.exists()
        return fetch(*given)

    monkeypatch.setattr("tpsnet.backbone.keep.load_backbone", fetched)
    save_file(built("SmallRN").state_dict(), named / "x.safetensors")
    keep_weights("SmallRN", str(named / "x.safetensors"), named / "kept")
    assert other.exists()


@pytest.mark.parametrize("failing", ["write", "read"])
def test_a_folder_is_there_whole_or_not_at_all(named, monkeypatch, failing):
    """The disk is full, or what was written reads back as something else."""
    (named / "kept").mkdir()

    def write(path: Path, state: dict, metadata: dict) -> None:
        path.write_bytes(b"half")
        if failing == "write":
            raise OSError(28, "No space left on device")
        state["visual.proj"].zero_()
        save_file(state, path, metadata)

    monkeypatch.setattr("tpsnet.backbone.keep.save_tensors", write)
    reason = {"write": "No space left on device", "read": r"Small openai reads back from .* check the disk"}
    with pytest.raises(InputError, match=reason[failing]):
        keep_weights("Small", "openai", named / "kept")
    assert not list((named / "kept").iterdir()) and not list(named.glob("*.partial"))
