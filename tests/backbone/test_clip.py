"""A CLIP: every kind of tower, open_clip's own preprocessing as the reference."""

import open_clip
import torch
from PIL import Image

from tpsnet.backbone import load_backbone
from tpsnet.backbone.clip import checksum
from tpsnet.data import image_folder, load_images


def test_vectors_are_unit_and_agree_with_the_tokens_pass(any_clip):
    backbone = load_backbone(any_clip)
    images = torch.rand(3, 3, backbone.image_size, backbone.image_size)
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
    images = torch.rand(2, 3, backbone.image_size, backbone.image_size)
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
    _, images = load_images(image_folder(tmp_path / "pictures")["line"], backbone.image_size)
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
