"""Loading a CLIP: every kind of tower, open_clip's own preprocessing as the reference, bad addresses."""

import json
import shutil
from pathlib import Path

import open_clip
import pytest
import torch
from PIL import Image

from tpsnet.backbone import load_backbone
from tpsnet.backbone.clip import checksum
from tpsnet.data import image_folder, load_images
from tpsnet.types import InputError


@pytest.fixture
def copied_clip(small_clip: str, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_clip.removeprefix("local-dir:"), tmp_path / "clip"))


def edit(folder: Path, **preprocess: object) -> str:
    config = json.loads((folder / "open_clip_config.json").read_text())
    config["preprocess_cfg"] |= preprocess
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return f"local-dir:{folder}"


def test_vectors_are_unit_and_agree_with_the_tokens_pass(any_clip):
    backbone = load_backbone(any_clip)
    images = torch.rand(3, 3, backbone.image_size, backbone.image_size)
    vectors, tokens = backbone.encode_tokens(images)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(vectors, backbone.encode_image(images), atol=1e-5, rtol=1e-5)
    assert vectors.shape == (3, backbone.dim) and tokens.shape[::2] == (3, backbone.token_dim)


def test_same_vector_as_open_clip_from_the_file_on_disk(small_clip, tmp_path, rng):
    """Ours (decode, resize, crop, scale, normalise) against open_clip's own transform."""
    folder = tmp_path / "pictures" / "line" / "cat"
    folder.mkdir(parents=True)
    coarse = torch.randint(0, 256, (5, 7, 3), generator=rng, dtype=torch.uint8).numpy()
    Image.fromarray(coarse).resize((70, 50), Image.Resampling.BICUBIC).save(folder / "a.png")
    clip, _, preprocess = open_clip.create_model_and_transforms(small_clip)
    theirs = clip.eval().encode_image(preprocess(Image.open(folder / "a.png"))[None], normalize=True)
    backbone = load_backbone(small_clip)
    _, images = load_images(image_folder(tmp_path / "pictures")["line"], backbone.image_size)
    ours = backbone.encode_image(images.pixels.float() / 255)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def test_preprocessing_comes_from_the_folder(copied_clip):
    images = torch.rand(2, 3, 32, 32)
    before = load_backbone(f"local-dir:{copied_clip}").encode_image(images)
    after = load_backbone(edit(copied_clip, mean=[0.0, 0.0, 0.0])).encode_image(images)
    assert (before - after).abs().max() > 1e-3


def test_batch_norm_statistics_stay(tmp_path):
    from conftest import write_clip

    backbone = load_backbone(write_clip(tmp_path / "resnet", "resnet")).train()
    before = {k: v.clone() for k, v in backbone.state_dict().items() if "running" in k}
    backbone.encode_image(torch.rand(4, 3, 64, 64))
    assert before and all(torch.equal(v, backbone.state_dict()[k]) for k, v in before.items())


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


def test_identity_is_that_of_the_weights(small_clip, copied_clip):
    first, second = load_backbone(small_clip), load_backbone(small_clip)
    assert first.identity == second.identity
    with torch.no_grad():
        next(second.tower.parameters()).view(-1)[0] += 1
    assert checksum(second.clip) != second.identity == checksum(first.clip)


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
