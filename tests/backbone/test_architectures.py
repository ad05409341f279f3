"""Real architectures with random weights: the vectors of open_clip's own pipeline, from files of every form.

SigLIP's tokenizer would have to be fetched, so that its network stands here with open_clip's own. Towers are
as deep as their kind asks for; the one of full size is in ``tests/methods/test_full_size.py``.
"""

import pytest
import torch
import torch.nn.functional as F
from open_clip import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from photographs import open_clips_own, write_folder, write_photographs

from tpsnet.backbone import load_backbone
from tpsnet.backbone.tower import in_bfloat16
from tpsnet.data import load_images, unlabelled_folder

TEXT = {"context_length": 32, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2}
VIT = {"layers": 3, "width": 192, "head_width": 64, "patch_size": 16}
TIMM = {"timm_model_pretrained": False}
OPENAI = {"mean": OPENAI_DATASET_MEAN, "std": OPENAI_DATASET_STD}
INCEPTION = {"mean": (0.5,) * 3, "std": (0.5,) * 3}
RESNET = {"image_size": 224, "layers": [3, 4, 6, 3], "width": 64, "patch_size": None}
CONVNEXT = TIMM | {"timm_model_name": "convnext_atto", "timm_pool": "", "timm_proj": "linear"}
SIGLIP = TIMM | {"timm_model_name": "test_vit", "timm_pool": "map", "timm_proj": "none", "image_size": 160}
SIGLIPS_TEXT = TEXT | {"no_causal_mask": True, "proj_bias": True, "pool_type": "last"}
ARCHITECTURES = {
    "RN50": (
        {"embed_dim": 1024, "vision_cfg": RESNET, "text_cfg": TEXT, "quick_gelu": True},
        OPENAI,
    ),
    "ConvNeXt": (
        {"embed_dim": 64, "vision_cfg": CONVNEXT | {"image_size": 160}, "text_cfg": TEXT},
        OPENAI | {"interpolation": "bilinear"},
    ),
    "ConvNeXt, no square": (
        {"embed_dim": 64, "vision_cfg": CONVNEXT | {"image_size": [96, 160]}, "text_cfg": TEXT},
        OPENAI | {"resize_mode": "longest", "fill_color": 90},
    ),
    "SigLIP": (
        {"embed_dim": 64, "vision_cfg": SIGLIP, "text_cfg": SIGLIPS_TEXT}
        | {"custom_text": True, "init_logit_bias": -10},
        INCEPTION | {"resize_mode": "squash"},
    ),
    "custom text": (
        {"embed_dim": 64, "vision_cfg": VIT | {"image_size": [72, 144], "patch_size": 8}, "text_cfg": TEXT}
        | {"custom_text": True},
        INCEPTION | {"resize_mode": "squash", "interpolation": "bilinear", "size": [72, 144]},
    ),
    "ViT, no square": (
        {"embed_dim": 64, "vision_cfg": VIT | {"image_size": [160, 96]}, "text_cfg": TEXT},
        OPENAI | {"interpolation": "bilinear", "resize_mode": "shortest"},
    ),
    "ViT, longest": (
        {"embed_dim": 64, "vision_cfg": VIT | {"image_size": 112}, "text_cfg": TEXT, "quick_gelu": True},
        OPENAI | {"interpolation": "bilinear", "resize_mode": "longest"},
    ),
}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_vectors_are_those_of_open_clips_own_pipeline(tmp_path, name):
    config, preprocessing = ARCHITECTURES[name]
    address = write_folder(tmp_path / "clip", config, preprocessing)
    files = write_photographs(tmp_path / "pictures" / "a")
    backbone = load_backbone(address)
    _, images = load_images(unlabelled_folder(tmp_path / "pictures"), backbone.resize)
    with torch.no_grad():  # in float32, which not every processor's encoders run in
        ours = backbone.encode_image(images.pixels.float() / 255)
    theirs = open_clips_own(address, files)
    assert len(ours) == 6 and (ours * theirs).sum(dim=1).min() >= 0.9999
    # Random networks see little but what all photographs share; without that, the same again.
    shared = theirs.mean(dim=0)
    assert F.cosine_similarity(ours - shared, theirs - shared).min() >= 0.9999
    assert backbone.quick_gelu == config.get("quick_gelu", False)
    size = config["vision_cfg"].get("image_size", 224)
    assert list(images.pixels.shape[2:]) == (size if isinstance(size, list) else [size, size])
    texts = backbone.encode_text(["an ant", "a bee"])
    assert texts.shape == (2, backbone.dim) and (texts[0] - texts[1]).abs().max() > 1e-3


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_in_bfloat16_throughout_the_vectors_stay_close(tmp_path, name):
    """Their error is of the size of autocast's."""
    backbone = load_backbone(write_folder(tmp_path / "clip", *ARCHITECTURES[name]))
    before = {key: t.clone() for key, t in backbone.tower.state_dict().items()}
    x = torch.randn(6, 3, *backbone.resize.sides, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        exact = backbone.tower(x)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            mixed = backbone.tower(x)
    low = in_bfloat16(backbone.tower, x)
    assert low.dtype == torch.bfloat16 and not low.requires_grad
    error, usual = ((y.float() - exact).norm(dim=1) / exact.norm(dim=1) for y in (low, mixed))
    assert error.max() < 3 * usual.max(), (error, usual)
    after = backbone.tower.state_dict()
    assert all(torch.equal(after[key], t) and after[key].dtype == t.dtype for key, t in before.items())
