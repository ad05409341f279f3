"""Addresses of backbones: what is read from where, and bad ones."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from tpsnet.backbone import load_backbone
from tpsnet.errors import InputError


@pytest.fixture
def copied_clip(small_clip: str, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_clip.removeprefix("local-dir:"), tmp_path / "clip"))


def edit(folder: Path, **preprocess: object) -> str:
    config = json.loads((folder / "open_clip_config.json").read_text())
    config["preprocess_cfg"] |= preprocess
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return f"local-dir:{folder}"


def test_preprocessing_comes_from_the_folder(copied_clip):
    images = torch.rand(2, 3, 32, 32)
    before = load_backbone(f"local-dir:{copied_clip}").encode_image(images)
    after = load_backbone(edit(copied_clip, mean=[0.0, 0.0, 0.0])).encode_image(images)
    assert (before - after).abs().max() > 1e-3


def test_the_activation_follows_the_weights(monkeypatch):
    """OpenAI's weights want QuickGELU under either name, DataComp's want GELU."""
    made = {}

    def create(model, **options):
        made.update(options)
        raise RuntimeError("seen enough")

    monkeypatch.setattr("open_clip.create_model_and_transforms", create)
    for model, tag, quick in (
        ("ViT-B-16", "openai", True),
        ("ViT-B-16-quickgelu", "openai", True),
        ("ViT-B-16", "datacomp_xl_s13b_b90k", False),
        ("ViT-B-16", "weights.pt", False),
    ):
        with pytest.raises(InputError, match="seen enough"):
            load_backbone(model, tag)
        assert made["force_quick_gelu"] is quick


def test_wrong_addresses_are_one_line(copied_clip, tmp_path):
    with pytest.raises(InputError, match="no folder"):
        load_backbone(f"local-dir:{tmp_path / 'nowhere'}")
    with pytest.raises(InputError, match="unknown CLIP 'ViT-B-61'"):
        load_backbone("ViT-B-61")
    with pytest.raises(InputError, match=r"needs pretrained weights.*openai"):
        load_backbone("ViT-B-16")
    with pytest.raises(InputError, match="'squash'"):
        load_backbone(edit(copied_clip, resize_mode="squash"))
    weights = copied_clip / "open_clip_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(InputError, match="cannot load CLIP") as caught:
        load_backbone(edit(copied_clip, resize_mode="shortest"))
    assert "\n" not in str(caught.value)
    weights.unlink()
    with pytest.raises(InputError, match=r"no \.safetensors"):
        load_backbone(f"local-dir:{copied_clip}")
    (copied_clip / "open_clip_config.json").unlink()
    with pytest.raises(InputError, match="no open_clip_config"):
        load_backbone(f"local-dir:{copied_clip}")
    with pytest.raises(InputError, match=r"no file .*absent"):
        load_backbone(f"moco:{tmp_path / 'absent.pth.tar'}")
    with pytest.raises(InputError, match="no device 'gpu' here"):
        load_backbone("ViT-B-16", "openai", "gpu")


def test_a_network_is_made_on_the_processor_and_then_moved(small_clip):
    """Its buffers go where its weights go, whatever the device; this one needs no GPU."""
    backbone = load_backbone(small_clip, device="meta")
    places = {t.device.type for t in (*backbone.parameters(), *backbone.buffers())}
    assert places == {"meta"} and backbone.dim == 24
