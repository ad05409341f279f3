"""Addresses of backbones: what is read from where, and bad ones."""

import json
import shutil
from pathlib import Path

import open_clip
import pytest
import torch

from tpsnet.backbone import load_backbone
from tpsnet.backbone.folder import Folder
from tpsnet.errors import InputError
from tpsnet.io import validated


@pytest.fixture
def copied_clip(small_clip: str, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_clip.removeprefix("local-dir:"), tmp_path / "clip"))


def edit(folder: Path, part: str = "preprocess_cfg", **values: object) -> str:
    """Changes a part of the configuration, e.g. ``"model_cfg.text_cfg"``; returns the folder's address."""
    config = json.loads((folder / "open_clip_config.json").read_text())
    place = config
    for name in part.split("."):
        place = place[name]
    place |= values
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return f"local-dir:{folder}"


def test_preprocessing_comes_from_the_folder(copied_clip):
    images = torch.rand(2, 3, 32, 32)
    before = load_backbone(f"local-dir:{copied_clip}").encode_image(images)
    after = load_backbone(edit(copied_clip, mean=[0.0, 0.0, 0.0])).encode_image(images)
    assert (before - after).abs().max() > 1e-3


def test_wrong_addresses_are_one_line(copied_clip, tmp_path):
    with pytest.raises(InputError, match="no folder"):
        load_backbone(f"local-dir:{tmp_path / 'nowhere'}")
    with pytest.raises(InputError, match="unknown CLIP 'ViT-B-61'"):
        load_backbone("ViT-B-61")
    with pytest.raises(InputError, match=r"needs pretrained weights.*openai"):
        load_backbone("ViT-B-16")
    weights = copied_clip / "open_clip_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(
        InputError, match=r"cannot read weights from .*open_clip_model\.safetensors"
    ) as caught:
        load_backbone(f"local-dir:{copied_clip}")
    assert "\n" not in str(caught.value)
    weights.unlink()
    with pytest.raises(InputError, match=r"no \.safetensors weights .* and no open_clip_pytorch_model\.bin"):
        load_backbone(f"local-dir:{copied_clip}")
    (copied_clip / "open_clip_config.json").unlink()
    with pytest.raises(InputError, match="no open_clip_config"):
        load_backbone(f"local-dir:{copied_clip}")
    with pytest.raises(InputError, match=r"cannot read .*absent.*No such file"):
        load_backbone(f"moco:{tmp_path / 'absent.pth.tar'}")
    with pytest.raises(InputError, match="no device 'gpu' here"):
        load_backbone("ViT-B-16", "openai", "gpu")


def test_a_network_is_made_on_the_processor_and_then_moved(small_clip):
    """Its buffers go where its weights go, whatever the device; this one needs no GPU."""
    backbone = load_backbone(small_clip).to("meta")
    places = {t.device.type for t in (*backbone.parameters(), *backbone.buffers())}
    assert places == {"meta"} and backbone.dim == 24


VISION, TEXT = "model_cfg.vision_cfg", "model_cfg.text_cfg"
FOREIGN = [
    ("preprocess_cfg", {"mean": [0.5, 0.5]}, r"preprocess_cfg\.mean: .*at least 3"),
    ("preprocess_cfg", {"mean": 0.5}, r"preprocess_cfg\.mean: .*valid list, not 0\.5"),
    ("preprocess_cfg", {"mean": "grey"}, r"preprocess_cfg\.mean: .*valid list, not 'grey'"),
    ("preprocess_cfg", {"mean": [123.7, 116.3, 103.5]}, r"preprocess_cfg\.mean\.0: .*not 123\.7"),
    ("preprocess_cfg", {"mean": [0.1, float("nan"), 0.1]}, r"preprocess_cfg\.mean\.1: .*finite"),
    ("preprocess_cfg", {"std": [0.2, 0.2, float("inf")]}, r"preprocess_cfg\.std\.2: .*not inf"),
    ("preprocess_cfg", {"std": [0.2, 0, 0.2]}, r"preprocess_cfg\.std\.1: .*not 0"),
    ("preprocess_cfg", {"resize_mode": "stretch"}, r"preprocess_cfg\.resize_mode: .*'squash', not 'stretch'"),
    ("preprocess_cfg", {"interpolation": "lanczos"}, r"preprocess_cfg\.interpolation: .*not 'lanczos'"),
    ("preprocess_cfg", {"fill_color": 256}, r"preprocess_cfg\.fill_color: .*not 256"),
    ("preprocess_cfg", {"resize": "squash"}, r"preprocess_cfg\.resize: Extra inputs"),
    ("preprocess_cfg", {"size": 64}, r"preprocess_cfg\.size is 64, but .*image_size is 32"),
    (VISION, {"image_size": 0}, r"vision_cfg\.image_size\.0: .*not 0"),
    (VISION, {"image_size": 10**6}, r"vision_cfg\.image_size\.0: .*not 1000000"),
    (VISION, {"image_size": "large"}, r"vision_cfg\.image_size\.0: .*not 'large'"),
    (VISION, {"image_size": [32, 9999]}, r"vision_cfg\.image_size\.1: .*not 9999"),
    (VISION, {"image_size": [32, 32, 32]}, r"vision_cfg\.image_size: .*at most 2 items"),
    ("preprocess_cfg", {"size": [32, 64]}, r"preprocess_cfg\.size is 32×64, but .*image_size is 32"),
    (VISION, {"image_size": [32, 64], "layers": [1, 1, 1, 1]}, r"vision_cfg: a ResNet .* square images only"),
    (VISION, {"image_size": 1024, "patch_size": 4}, r"vision_cfg: .*1 to 64 patches"),
    (VISION, {"layers": 0}, r"vision_cfg\.layers\.0: .*not 0"),
    (VISION, {"width": 2**15}, r"model_cfg describes \d+ numbers or more, and .*safetensors holds \d+"),
    (VISION, {"timm_model_name": "hf-hub:some/one"}, r"vision_cfg\.timm_model_name: .*pattern"),
    (VISION, {"timm_model_name": "no_such_tower"}, "cannot load CLIP"),
    (TEXT, {"context_length": 2}, r"text_cfg\.context_length: .*greater than or equal to 8, not 2"),
    (TEXT, {"vocab_size": 100}, r"text_cfg: .*vocab_size of 49408"),
    (TEXT, {"tokenizer_kwargs": {"trust_remote_code": True}}, r"tokenizer_kwargs\.trust_remote_code: Extra"),
    (TEXT, {"hf_tokenizer_name": "some/one"}, "needs the package transformers for its texts; pip install"),
    (TEXT, {"heads": 7}, "cannot load CLIP"),
    ("model_cfg", {"depth": 3}, "cannot load CLIP"),
]


@pytest.mark.parametrize(("part", "values", "reason"), FOREIGN, ids=lambda x: str(x)[:40])
def test_a_configuration_is_checked_before_anything_is_built(copied_clip, monkeypatch, part, values, reason):
    if "cannot load" not in reason:
        monkeypatch.setattr("open_clip.create_model", None)
    monkeypatch.setattr("tpsnet.backbone.load.find_spec", lambda name: None)
    with pytest.raises(InputError, match=reason) as caught:
        load_backbone(edit(copied_clip, part, **values))
    assert "\n" not in str(caught.value) and str(copied_clip) in str(caught.value)


@pytest.mark.parametrize("part", ["preprocess_cfg", "preprocess_cfg.mean", "preprocess_cfg.std", "model_cfg"])
def test_what_a_configuration_lacks_is_named(copied_clip, part):
    """open_clip would take its own means for other weights without a word."""
    config = json.loads((copied_clip / "open_clip_config.json").read_text())
    *above, name = part.split(".")
    del (config[above[0]] if above else config)[name]
    (copied_clip / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=rf"open_clip_config\.json: {part}: Field required"):
        load_backbone(f"local-dir:{copied_clip}")


@pytest.mark.parametrize("other", ["open_clip_pytorch_model.bin", "pytorch_model.bin", "model.pth"])
def test_safetensors_are_used_whatever_lies_beside_them(copied_clip, other, caplog):
    before = load_backbone(f"local-dir:{copied_clip}").identity
    (copied_clip / "open_clip_model.safetensors").rename(copied_clip / "weights.safetensors")
    (copied_clip / other).write_text("a pickle")
    assert load_backbone(f"local-dir:{copied_clip}").identity == before and not caplog.records
    shutil.copy(copied_clip / "weights.safetensors", copied_clip / "more.safetensors")
    with pytest.raises(InputError, match=r"has 2 \.safetensors files; name the weights open_clip_model"):
        load_backbone(f"local-dir:{copied_clip}")


@pytest.mark.parametrize("model", ["embedded", "local-dir:{}", "moco:{}/file.pth"])
def test_weights_beside_an_address_are_refused(copied_clip, model):
    with pytest.raises(InputError, match=r"has its own weights, so 'openai' would not be used; leave out"):
        load_backbone(model.format(copied_clip), "openai")


class Evil:
    def __reduce__(self):
        return print, ("code ran",)


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0000\nsize 1000\n"


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("w.pt", Evil(), "damaged or holds more than tensors, which is not run"),
        ("w.pt", {"state_dict": [1]}, "holds a list, not tensors by name"),
        ("w.pt", {"visual.proj": torch.zeros(1)}, "cannot load CLIP 'ViT-B-32': "),
        ("w.pt", "text", "damaged or holds more than tensors"),
        ("w.safetensors", "text", "cannot read weights from"),
        ("w.pt", POINTER, "git-lfs pointer.*git lfs pull"),
        ("w.safetensors", POINTER, "git-lfs pointer.*git lfs pull"),
        ("w.npz", POINTER, "git-lfs pointer.*git lfs pull"),
    ],
    ids=["object", "list", "other", "text", "no safetensors", "pointer", "pointer st", "pointer npz"],
)
def test_a_weights_file_is_checked_first(tmp_path, capsys, name, content, reason):
    file = tmp_path / name
    file.write_text(content) if isinstance(content, str) else torch.save(content, file)
    with pytest.raises(InputError, match=reason) as caught:
        load_backbone("ViT-B-32", str(file))
    assert "\n" not in str(caught.value) and "weights_only" not in str(caught.value)
    assert "code ran" not in capsys.readouterr().out


def test_a_pointer_in_a_folder_is_named(copied_clip):
    for name in ("open_clip_model.safetensors", "open_clip_config.json"):
        (copied_clip / name).write_text(POINTER)
        with pytest.raises(InputError, match=rf"{name} is a git-lfs pointer.*git lfs pull"):
            load_backbone(f"local-dir:{copied_clip}")


def test_the_preprocessing_is_told_apart(copied_clip):
    """Resize, mean, deviation and tokenizer; the weights' checksum stays."""
    found = [load_backbone(f"local-dir:{copied_clip}")]
    for part, values in (
        ("preprocess_cfg", {"mean": [0.4, 0.5, 0.7]}),
        ("preprocess_cfg", {"std": [0.2, 0.25, 0.4]}),
        ("preprocess_cfg", {"resize_mode": "squash"}),
        ("preprocess_cfg", {"interpolation": "bilinear"}),
        (TEXT, {"tokenizer_kwargs": {"clean": "canonicalize"}}),
    ):
        found.append(load_backbone(edit(copied_clip, part, **values)))
    assert len({backbone.preprocessing for backbone in found}) == len(found)
    assert len({backbone.identity for backbone in found}) == 1


def test_every_configuration_of_open_clip_is_of_the_form_that_is_checked():
    preprocessing = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
    square = [name for name in open_clip.list_models() if "naflex" not in name.lower()]
    for name in square:
        config = {"model_cfg": open_clip.get_model_config(name), "preprocess_cfg": preprocessing}
        validated(Folder, config, Path(name), "")
    assert len(square) > 100 and "RN50" in square
