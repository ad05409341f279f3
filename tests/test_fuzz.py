"""Every kind of file that is read, damaged in seeded ways: it is read, refused in one line, or made anew."""

import json
import random
import shutil
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn
from training.smallest import Pull, PullConfig, small_backbone

from tpsnet.backbone import load_backbone, load_moco
from tpsnet.backbone.folder import check_folder
from tpsnet.cli.parameters import check_parameters
from tpsnet.cli.tables import _names
from tpsnet.data import image_folder, listed, load_images
from tpsnet.errors import InputError
from tpsnet.experiments import Experiment
from tpsnet.jobs import Job, run_jobs
from tpsnet.methods import METHODS, Entry
from tpsnet.report import read_scores, tidy
from tpsnet.training import fit, load_trained, read_log
from tpsnet.types import Embeddings, Images
from tpsnet.viz.projection import umap_map
from tpsnet.viz.thumbnails import encode

pytestmark = pytest.mark.usefixtures("unchecked")

DEEP = 10**5
CUTS, FLIPS = 6, 12  # places where a file is cut, and where a bit of it is flipped


def damaged(whole: bytes) -> Iterator[bytes]:
    """Cut, flipped, of another kind, nested deep: the same ways for the same file."""
    places = random.Random(0)
    yield from (b"", b"\0", b"\xff\xfe", b"[]", b"3", b'"text"', b"null", b'{"a": 1}', b"{}")
    yield from (DEEP * b"[", DEEP * b'{"a":', b"version https://git-lfs.github.com/spec/v1\n")
    yield from (whole[: places.randrange(len(whole))] for _ in range(CUTS))
    for _ in range(FLIPS):
        flipped = bytearray(whole)
        flipped[places.randrange(len(whole))] ^= 1 << places.randrange(8)
        yield bytes(flipped)
    yield from retyped(whole)


def retyped(whole: bytes) -> Iterator[bytes]:
    """JSON, or its first line, with each value to the third level exchanged for one of another type."""
    first, *rest = whole.split(b"\n", 1)
    try:
        value = json.loads(first)
    except ValueError:
        try:
            value, rest = json.loads(whole), []
        except ValueError:
            return

    def walk(part: object, depth: int) -> Iterator[None]:
        keys = list(part) if isinstance(part, dict) else range(min(2, len(part)))
        for key in keys:
            before = part[key]
            for other in (None, [], {}, "text", 3, -1.5, float("nan")):
                part[key] = other
                yield
            part[key] = before
            if depth < 2 and isinstance(before, dict | list):
                yield from walk(before, depth + 1)

    for _ in walk(value, 0):
        yield b"\n".join([json.dumps(value).encode(), *rest])


def attack(file: Path, read: Callable[[], object], *, rebuilt: bool = False, every: int = 1) -> None:
    """Read every damaged version; another exception than ``InputError`` is a fault, and so is a second line.

    Args:
        file: A whole file.
        read: Reads it.
        rebuilt: Whether it is a cache, which is made anew.
        every: Take one of so many versions.
    """
    whole = file.read_bytes()
    read()
    refused = 0
    for content in islice(damaged(whole), 0, None, every):
        file.write_bytes(content)
        try:
            read()
        except InputError as error:
            assert not rebuilt and "\n" not in str(error), error
            refused += 1
    assert rebuilt or refused >= CUTS / every  # the ways do damage
    file.write_bytes(whole)


def test_config(tmp_path):
    Experiment().save(tmp_path / "config.json")
    attack(tmp_path / "config.json", lambda: Experiment.load(tmp_path / "config.json"))


COUNTS = {"n_query": 9, "n_gallery": 9, "n_classes": 3, "n_unmatched": 0, "engine": "torch"}
WORDS = {"label_spaces": "closed", "split": "none", "epoch": "last", "seeds": [0], "metrics": {"mAP": "mean"}}
CARD = {"query_domain": "line", "gallery_domain": "flat"} | COUNTS | WORDS
METRICS = {"metrics": {"mAP": 50.0, "H-score": None}, "reranked": {"diffusion": {"mAP": 51.0}}}
DIRECTION = {"query": "line", "gallery": "flat", "kind": "all", "card": CARD} | METRICS
ROW = {"name": "TPSNet", "seed": 0, "pair": ["line", "flat"], "protocol": "closed", "machine": "a laptop"}
ROW |= {"directions": [DIRECTION]}


def test_scores(tmp_path):
    (tmp_path / "scores.json").write_text(json.dumps({"rows": [ROW]}))
    attack(tmp_path / "scores.json", lambda: tidy(read_scores(tmp_path / "scores.json")))


def test_rows(tmp_path):
    file, jobs = tmp_path / "rows.jsonl", [Job({"number": n}, (n,), f"{n}") for n in range(3)]
    run_jobs(file, jobs, lambda n: {"square": n**2})
    whole = file.read_bytes()

    def read() -> None:
        try:
            run_jobs(file, jobs, lambda n: {"square": n**2})
        finally:
            file.write_bytes(whole)

    attack(file, read)


@pytest.fixture
def pair(rng, monkeypatch) -> tuple[Images, Images]:
    monkeypatch.setitem(METHODS, "Pull", Entry(Pull, PullConfig, needs_clip=False))
    pixels = torch.randint(256, (2, 8, 3, 2, 2), generator=rng, dtype=torch.uint8)
    return Images("a", pixels[0]), Images("b", pixels[1])


def test_checkpoint(pair, tmp_path):
    first = Pull(small_backbone(), PullConfig())
    first.stop = 9
    with pytest.raises(KeyboardInterrupt):
        fit(first, pair, folder=tmp_path / "whole", save_every=0.0)
    run = tmp_path / "run"
    run.mkdir()
    file = run / "checkpoint.safetensors"
    file.write_bytes((tmp_path / "whole" / file.name).read_bytes())

    def read() -> None:
        content = file.read_bytes()
        method = Pull(small_backbone(), PullConfig())
        method.stop = 1
        try:
            fit(method, pair, folder=run, resume=True)
        except KeyboardInterrupt:
            pass
        finally:
            file.write_bytes(content)

    attack(file, read)


def test_artefact_and_log(pair, tmp_path):
    fit(Pull(small_backbone(), PullConfig()), pair, folder=tmp_path)
    file = tmp_path / "model.safetensors"
    attack(file, lambda: load_trained(tmp_path, backbone=small_backbone()))
    attack(tmp_path / "log.jsonl", lambda: read_log(tmp_path))


def test_embeddings(tmp_path):
    paths = (Path("a.png"), Path("b.png"))
    file = tmp_path / "e.safetensors"
    Embeddings("line", torch.eye(2), torch.tensor([0, 1]), ("ant", "bee"), paths).save(file)
    attack(file, lambda: Embeddings.load(file))


def test_map(tmp_path, monkeypatch, rng):
    """Kept coordinates."""
    vectors = torch.nn.functional.normalize(torch.randn(8, 4, generator=rng), dim=1)
    made = []

    class UMAP:
        def __init__(self, **_):
            made.append(1)

        def fit_transform(self, rows):
            return rows[:, :2]

    monkeypatch.setattr("umap.UMAP", UMAP)
    expected = umap_map(vectors, tmp_path)
    (file,) = tmp_path.glob("*.safetensors")
    attack(file, lambda: torch.testing.assert_close(umap_map(vectors, tmp_path), expected), rebuilt=True)
    assert len(made) > CUTS


def test_pixels(tmp_path, monkeypatch, root):
    monkeypatch.setenv("TPSNET_CACHE", str(tmp_path / "cache"))
    domain = image_folder(root)["line"].subset([0, 5, 10])
    expected = load_images(domain, 8)[1].pixels.clone()

    def read() -> None:
        assert torch.equal(load_images(domain, 8)[1].pixels, expected)

    for kind in ("npy", "journal"):
        (file,) = (tmp_path / "cache" / "pixels").glob(f"*.{kind}")
        attack(file, read, rebuilt=True)


def test_thumbnail(tmp_path, monkeypatch):
    monkeypatch.setenv("TPSNET_CACHE", str(tmp_path / "cache"))
    Image.new("RGB", (90, 90), "red").save(tmp_path / "red.png")
    encode(tmp_path / "red.png", 30)
    (file,) = (tmp_path / "cache").glob("thumbnails/*/*.webp")
    attack(file, lambda: encode(tmp_path / "red.png", 30), rebuilt=True)


def test_notebook(tmp_path):
    cells = [{"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": ["epochs: int = 3"]}]
    file = tmp_path / "a.ipynb"
    file.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    attack(file, lambda: check_parameters(file, {"epochs": "4"}))


def test_model_folder(small_clip, tmp_path):
    folder = Path(shutil.copytree(small_clip.removeprefix("local-dir:"), tmp_path / "clip"))
    attack(folder / "open_clip_config.json", lambda: check_folder(folder))
    attack(folder / "open_clip_config.json", lambda: load_backbone(f"local-dir:{folder}"), every=20)
    attack(folder / "open_clip_model.safetensors", lambda: check_folder(folder))


class Head(nn.Module):
    """A network without anything before its head, so that files are small."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc = nn.Sequential(nn.Linear(8, hidden), nn.ReLU(), nn.Linear(hidden, width))


def test_moco(tmp_path, monkeypatch):
    monkeypatch.setattr("tpsnet.backbone.moco._network", Head)
    state = {f"module.encoder_q.{name}": tensor for name, tensor in Head(2, 4).state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "moco.pth")
    attack(tmp_path / "moco.pth", lambda: load_moco(tmp_path / "moco.pth"))
    torch.save({"state_dict": state}, tmp_path / "moco.pth", _use_new_zipfile_serialization=False)
    attack(tmp_path / "moco.pth", lambda: load_moco(tmp_path / "moco.pth"))


def test_lists(tmp_path, root):
    domain = image_folder(root)["line"]
    file = tmp_path / "line_train.txt"
    file.write_text("".join(f"line/{path.parent.name}/{path.name} 0\n" for path in domain.paths))
    attack(file, lambda: listed(domain, tmp_path, "train"))
    (tmp_path / "unseen.txt").write_text("ant\nbee\n")
    _names(tmp_path / "unseen.txt")
    for content in (b"", b"\xff\xfe", b"version https://git-lfs.github.com/spec/v1\n"):
        (tmp_path / "unseen.txt").write_bytes(content)
        with pytest.raises(InputError):
            _names(tmp_path / "unseen.txt")
