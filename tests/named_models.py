"""Small networks as named models of open_clip, with tags whose files lie at hand."""

import json
from pathlib import Path

import open_clip
import pytest
import torch
from conftest import TINY_TOWERS
from open_clip import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from safetensors.torch import save_file

OPENAI = {"mean": OPENAI_DATASET_MEAN, "std": OPENAI_DATASET_STD}
USUAL = OPENAI | {"interpolation": "bicubic", "resize_mode": "shortest"}
SIGLIP = {"mean": (0.5,) * 3, "std": (0.5,) * 3, "interpolation": "bicubic", "resize_mode": "squash"}
TEXT = {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
CONFIGS = {
    name: {"embed_dim": 24, "vision_cfg": TINY_TOWERS[tower], "text_cfg": TEXT} | more
    for name, tower, more in (
        ("Small", "vit", {}),
        ("Small-quickgelu", "vit", {"quick_gelu": True}),
        ("SmallRN", "resnet", {}),
        ("SmallSquash", "vit", {"custom_text": True, "init_logit_bias": -10}),
    )
}


def built(name: str, *, quick: bool | None = None) -> torch.nn.Module:
    """The network with random weights, made by open_clip alone."""
    config = json.loads(json.dumps(CONFIGS[name]))
    config |= {} if quick is None else {"quick_gelu": quick}
    kind = open_clip.CustomTextCLIP if config.pop("custom_text", False) else open_clip.CLIP
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return kind(**config).eval()


def register(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """The networks above as named models of open_clip, with tags whose files lie in a folder."""
    for name, config in CONFIGS.items():
        monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, name, config)
    save_file(built("Small").state_dict(), folder / "tag.safetensors")
    file = {"file": str(folder / "tag.safetensors")}
    tags = {
        "openai": USUAL | file | {"quick_gelu": True},
        "plain": USUAL | file,
        "other": SIGLIP | file | {"interpolation": "bilinear"},
        "published": SIGLIP | {"url": "a/b/b16_400m.pt", "quick_gelu": True},
        "exact": USUAL | {"url": "a/b/small-exact-0123.pt"},
    }
    quick = {name: tag for name, tag in tags.items() if tag.get("quick_gelu")}
    table = {"Small": tags, "Small-quickgelu": quick, "SmallSquash": {"webli": SIGLIP}}
    for name, of in table.items():
        monkeypatch.setitem(open_clip.pretrained._PRETRAINED, name, of)
