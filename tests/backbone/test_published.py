"""Named models: the files that people have, with the activation and the preprocessing that belong to them."""

import logging
import shutil
from pathlib import Path

import open_clip
import pytest
import torch
from archives import write_openai
from named_models import OPENAI, built, register
from open_clip import OPENAI_DATASET_MEAN
from safetensors.torch import save_file

from tpsnet.backbone import load_backbone
from tpsnet.errors import InputError
from tpsnet.types import Resize

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning")


@pytest.fixture
def named(tmp_path, monkeypatch):
    register(monkeypatch, tmp_path)
    return tmp_path


def pictures(backbone) -> torch.Tensor:
    return torch.rand(3, 3, *backbone.resize.sides, generator=torch.Generator().manual_seed(0))


def expected(clip: torch.nn.Module, images: torch.Tensor, mean, std) -> torch.Tensor:
    """What open_clip's network says of RGB in [0, 1]."""
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (mean, std))
    with torch.no_grad():
        return clip.encode_image((images - mean) / std, normalize=True)


@pytest.mark.parametrize("model", ["Small", "Small-quickgelu", "SmallRN"])
def test_openais_own_archive(named, monkeypatch, caplog, model):
    """As its authors publish it: TorchScript, half precision; QuickGELU whatever the model's name says."""
    clip = built(model, quick=True)
    size = 64 if model == "SmallRN" else 32
    file = write_openai(named / f"{model}.pt", clip.state_dict(), size=size)
    monkeypatch.setattr("torch.jit.load", None)
    backbone = load_backbone(model, str(file))
    assert backbone.quick_gelu and not caplog.records and backbone.pretrained == str(file)
    assert {p.dtype for p in backbone.parameters()} == {torch.float32}
    halved = {name: t.half().float() if t.ndim > 1 else t for name, t in clip.state_dict().items()}
    clip.load_state_dict(halved)
    images = pictures(backbone)
    theirs = expected(clip, images, **OPENAI)
    torch.testing.assert_close(backbone.encode_image(images), theirs, atol=1e-5, rtol=0)
    other = built(model, quick=False)
    other.load_state_dict(halved)
    texts = backbone.tokenizer(["an ant", "a bee"])
    with torch.no_grad():
        theirs, wrong = (x.encode_text(texts, normalize=True) for x in (clip, other))
    ours = backbone.encode_text(["an ant", "a bee"])
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
    assert (ours - wrong).abs().max() > 1e-4  # the other activation would have been another model


@pytest.mark.parametrize("name", ["y.pt", "y.safetensors"])
def test_the_state_of_openais_archive_is_known_too(named, caplog, name):
    """Saved as a plain checkpoint with all that the archive holds."""
    file = write_openai(named / "x.pt", built("Small").state_dict(), size=32)
    write = save_file if name.endswith(".safetensors") else torch.save
    write(torch.jit.load(file).state_dict(), named / name)
    one, other = (load_backbone("Small", str(named / name)) for name in ("x.pt", name))
    assert other.quick_gelu and one.identity == other.identity and not caplog.records


def test_an_archive_of_another_network_is_one_line(named):
    file = write_openai(named / "x.pt", built("Small").state_dict(), size=32)
    with pytest.raises(InputError, match=r"cannot load CLIP 'SmallRN': .*Missing key") as caught:
        load_backbone("SmallRN", str(file))
    assert "\n" not in str(caught.value)


def write_checkpoint(file: Path, state: dict) -> Path:
    """The network's state as training code leaves it."""
    if file.suffix == ".safetensors":
        save_file(state, file)
    elif "epoch" in file.name:
        found = {f"module.{name}": t for name, t in state.items()}
        optimizer = {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 1e-3, "params": [0]}]}
        torch.save({"epoch": 3, "name": "run", "state_dict": found, "optimizer": optimizer}, file)
    else:
        torch.save(state, file, _use_new_zipfile_serialization="old" not in file.name)
    return file


@pytest.mark.parametrize("name", ["x.safetensors", "x.bin", "x.pt", "epoch_3.pt", "old.bin", "half.pt"])
def test_checkpoints(named, caplog, name):
    """Their activation is that of the model's name, and it is said that the model's tags disagree."""
    clip = built("Small")
    state = clip.state_dict()
    file = write_checkpoint(
        named / name, {k: t.half() for k, t in state.items()} if "half" in name else state
    )
    plain, quick = (load_backbone(model, str(file)) for model in ("Small", "Small-quickgelu"))
    assert not plain.quick_gelu and quick.quick_gelu and plain.identity == quick.identity
    images = pictures(plain)
    theirs = expected(clip, images, **OPENAI)
    torch.testing.assert_close(
        plain.encode_image(images), theirs, atol=2e-3 if "half" in name else 1e-5, rtol=0
    )
    assert (quick.encode_image(images) - theirs).abs().max() > 1e-4
    first = caplog.records[0]
    assert first.levelno == logging.WARNING and "\n" not in first.getMessage()
    assert "trained with GELU, unlike openai, published;" in first.getMessage()
    assert "Small-quickgelu is with QuickGELU" in first.getMessage()


def test_a_published_file_is_known_by_its_name(named, caplog):
    file = write_checkpoint(named / "b16_400m.pt", built("Small").state_dict())
    for model in ("Small", "Small-quickgelu"):
        backbone = load_backbone(model, str(file))
        assert backbone.quick_gelu and backbone.resize == Resize(32, "squash")
        assert backbone.mean.flatten().tolist() == [0.5] * 3
    exact = write_checkpoint(named / "small-exact-0123.pt", built("Small").state_dict())
    assert not load_backbone("Small", str(exact)).quick_gelu and not caplog.records
    with pytest.raises(InputError, match=r"exact was trained without QuickGELU; give the model Small$"):
        load_backbone("Small-quickgelu", str(exact))


def test_a_file_is_prepared_as_the_models_tags_are(named, caplog):
    """open_clip itself would take OpenAI's mean for it, and cut out the centre."""
    file = write_checkpoint(named / "x.safetensors", built("SmallSquash").state_dict())
    backbone = load_backbone("SmallSquash", str(file))
    assert backbone.resize == Resize(32, "squash") and not caplog.records
    assert backbone.mean.flatten().tolist() == backbone.std.flatten().tolist() == [0.5] * 3
    load_backbone("Small", str(write_checkpoint(named / "y.pt", built("Small").state_dict())))
    assert "prepared as for most tags, unlike other, published" in caplog.records[1].getMessage()


@pytest.mark.parametrize(
    ("tag", "quick", "resize", "mean"),
    [
        ("openai", True, Resize(32), OPENAI_DATASET_MEAN),
        ("plain", False, Resize(32), OPENAI_DATASET_MEAN),
        ("other", False, Resize(32, "squash", "bilinear"), (0.5,) * 3),
    ],
)
def test_a_tag_says_all(named, monkeypatch, caplog, tag, quick, resize, mean):
    (named / "here" / tag).mkdir(parents=True)  # something of the tag's name is not mistaken for it
    monkeypatch.chdir(named / "here")
    backbone = load_backbone("Small", tag)
    assert (backbone.quick_gelu, backbone.resize, backbone.pretrained) == (quick, resize, tag)
    images = pictures(backbone)
    clip, _, _ = open_clip.create_model_and_transforms("Small", tag, force_quick_gelu=quick)
    assert tuple(clip.visual.image_mean) == mean
    theirs = expected(clip.eval(), images, clip.visual.image_mean, clip.visual.image_std)
    torch.testing.assert_close(backbone.encode_image(images), theirs, atol=1e-5, rtol=0)
    assert not caplog.records


def test_a_tag_that_cannot_be_fetched_is_one_line(named, monkeypatch):
    def offline(cfg):
        raise OSError("no route\nto the host")

    monkeypatch.setattr("open_clip.download_pretrained", offline)
    with pytest.raises(
        InputError,
        match=r"cannot fetch the weights openai of Small \(no route to the host\); where there is a network, "
        r"`tpsnet prepare weights Small openai DIR` keeps them",
    ) as caught:
        load_backbone("Small", "openai")
    assert "\n" not in str(caught.value)


def snapshot(cache: Path, files: dict[str, Path]) -> Path:
    """A snapshot as the hub's own client keeps it: links to blobs without a suffix."""
    folder = cache / "models--a--b" / "snapshots" / "0123"
    (cache / "models--a--b" / "blobs").mkdir(parents=True)
    folder.mkdir(parents=True)
    for number, (name, file) in enumerate(files.items()):
        shutil.copy(file, cache / "models--a--b" / "blobs" / f"{number:040x}")
        (folder / name).symlink_to(f"../../blobs/{number:040x}")
    return folder


@pytest.mark.parametrize("weights", ["open_clip_model.safetensors", "open_clip_pytorch_model.bin"])
def test_a_snapshot_of_the_hub(named, small_clip, weights):
    source = Path(small_clip.removeprefix("local-dir:"))
    config, file = source / "open_clip_config.json", source / "open_clip_model.safetensors"
    if weights.endswith(".bin"):
        clip, _, _ = open_clip.create_model_and_transforms(small_clip)
        file = write_checkpoint(named / "w.bin", clip.state_dict())
    folder = snapshot(named, {"open_clip_config.json": config, weights: file})
    backbone, known = load_backbone(f"local-dir:{folder}"), load_backbone(small_clip)
    assert (backbone.identity, backbone.preprocessing) == (known.identity, known.preprocessing)
    for given in (folder, folder / weights):
        with pytest.raises(InputError, match=rf"leave out pretrained and give the model local-dir:{folder}$"):
            load_backbone("Small", str(given))
    (folder / weights).resolve().unlink()
    with pytest.raises(InputError, match=rf"cannot read {folder / weights} .*No such file"):
        load_backbone(f"local-dir:{folder}")


def test_a_file_of_a_snapshot_keeps_its_suffix(named):
    """The blob behind the link has none."""
    folder = snapshot(named, {"w.safetensors": named / "tag.safetensors"})
    assert load_backbone("Small", str(folder / "w.safetensors")).identity


def test_a_checkpoint_of_a_folder_holds_tensors_alone(tmp_path, small_clip, capsys):
    class Evil:
        def __reduce__(self):
            return print, ("code ran",)

    folder = Path(shutil.copytree(small_clip.removeprefix("local-dir:"), tmp_path / "clip"))
    (folder / "open_clip_model.safetensors").unlink()
    torch.save({"a": Evil()}, folder / "open_clip_pytorch_model.bin")
    with pytest.raises(InputError, match=r"damaged or holds more than tensors, which is not run"):
        load_backbone(f"local-dir:{folder}")
    assert "code ran" not in capsys.readouterr().out


def test_neither_tag_nor_file(named):
    with pytest.raises(InputError, match=r"no such file \(did you mean 'openai'\?\); tags: openai, plain"):
        load_backbone("Small", "opnai")
    with pytest.raises(InputError, match=r"unknown CLIP 'ViT-B16' \(did you mean 'ViT-B-16'\?\)"):
        load_backbone("ViT-B16", "openai")
