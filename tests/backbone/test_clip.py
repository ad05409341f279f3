"""A CLIP: every kind of tower, open_clip's own preprocessing as the reference."""

import json
import shutil
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

from tpsnet.backbone import embed_all, load_backbone
from tpsnet.backbone.clip import checksum
from tpsnet.data import image_folder, load_images, unlabelled_folder


def test_vectors_are_unit_and_agree_with_the_tokens_pass(any_clip):
    backbone = load_backbone(any_clip)
    images = torch.rand(3, 3, *backbone.resize.sides)
    vectors, tokens = backbone.encode_tokens(images)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(vectors, backbone.encode_image(images), atol=1e-5, rtol=1e-5)
    assert vectors.shape == (3, backbone.dim) and tokens.shape[::2] == (3, backbone.token_dim)


def test_a_tower_that_gives_tokens_too(small_clip):
    """As a CoCa's does."""

    class Both(torch.nn.Module):
        def forward(self, x):
            return backbone.tower(x), x

    backbone = load_backbone(small_clip)
    images = torch.rand(2, 3, *backbone.resize.sides)
    assert torch.equal(backbone.encode_image(images, Both()), backbone.encode_image(images))


def test_same_vector_as_open_clip_from_the_file_on_disk(small_clip, tmp_path, rng):
    """Ours (decode, resize, crop, scale, normalise) against open_clip's own transform."""
    folder = tmp_path / "pictures" / "line" / "cat"
    folder.mkdir(parents=True)
    coarse = torch.randint(0, 256, (5, 7, 3), generator=rng, dtype=torch.uint8).numpy()
    Image.fromarray(coarse).resize((70, 50), Image.Resampling.BICUBIC).save(folder / "a.png")
    clip, _, preprocess = open_clip.create_model_and_transforms(small_clip)
    theirs = clip.eval().encode_image(preprocess(Image.open(folder / "a.png"))[None], normalize=True)
    backbone = load_backbone(small_clip)
    _, images = load_images(image_folder(tmp_path / "pictures")["line"], backbone.resize)
    ours = backbone.encode_image(images.pixels.float() / 255)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def test_batch_norm_statistics_stay(tmp_path):
    from conftest import write_clip

    backbone = load_backbone(write_clip(tmp_path / "resnet", "resnet")).train()
    before = {k: v.clone() for k, v in backbone.state_dict().items() if "running" in k}
    backbone.encode_image(torch.rand(4, 3, 64, 64))
    assert before and all(torch.equal(v, backbone.state_dict()[k]) for k, v in before.items())


def test_identity_is_that_of_the_weights(small_clip):
    first, second = load_backbone(small_clip), load_backbone(small_clip)
    assert first.identity == second.identity
    with torch.no_grad():
        next(second.tower.parameters()).view(-1)[0] += 1
    assert checksum(second.clip) != second.identity == checksum(first.clip)


@pytest.mark.parametrize("mode", ["shortest", "squash", "longest"])
@pytest.mark.parametrize("kind", ["bicubic", "bilinear"])
def test_vectors_are_those_of_open_clips_own_pipeline(small_clip, tmp_path, mode, kind):
    """From the file to the vector, with what the folder's configuration says, on pictures of odd sizes."""
    folder = Path(shutil.copytree(small_clip.removeprefix("local-dir:"), tmp_path / "clip"))
    config = json.loads((folder / "open_clip_config.json").read_text())
    config["preprocess_cfg"] |= {"resize_mode": mode, "interpolation": kind, "fill_color": 90}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    rng, files = np.random.default_rng(0), []
    for number, shape in enumerate([(61, 90), (93, 47), (33, 101), (64, 64)]):
        files.append(tmp_path / "pictures" / "a" / f"{number}.png")
        files[-1].parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (*shape, 3), dtype=np.uint8)).save(files[-1])
    backbone = load_backbone(f"local-dir:{folder}")
    _, images = load_images(unlabelled_folder(tmp_path / "pictures"), backbone.resize)
    ours = embed_all(backbone.encode_image, images)
    clip, _, transform = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    with torch.no_grad():
        theirs = clip.eval().encode_image(torch.stack([transform(Image.open(file)) for file in files]))
    cosines = (ours * torch.nn.functional.normalize(theirs.float(), dim=1)).sum(dim=1)
    assert cosines.min() >= 0.9999
