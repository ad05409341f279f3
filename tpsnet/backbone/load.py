"""Names and addresses of backbones.

One loading path serves every CLIP: an open_clip name with a pretrained tag, or ``local-dir:`` for a
folder that holds weights *and* preprocessing (a bare weights file can silently get the wrong
preprocessing, open_clip #1068).
"""

from importlib.resources import files
from pathlib import Path

import open_clip
import torch
from safetensors import SafetensorError

from tpsnet.backbone.clip import Backbone
from tpsnet.backbone.moco import MoCo, load_moco
from tpsnet.errors import InputError

EMBEDDED = "embedded"  # address of the small CLIP that ships with the package


def load_backbone(
    model: str = EMBEDDED, pretrained: str | None = None, device: str = "cpu"
) -> Backbone | MoCo:
    """Build a CLIP by its open_clip name and pretrained tag, or what an address names.

    Args:
        model: An open_clip name such as ``"ViT-B-16"``; ``"local-dir:FOLDER"`` where the folder holds
            ``open_clip_config.json`` and safetensors weights; ``"moco:FILE"``, a MoCo-v2 checkpoint; or
            ``"embedded"``, the small CLIP that ships with the package.
        pretrained: Pretrained tag (downloads) or weights file of a named model; an address needs none.
        device: Where the model lives.

    Raises:
        InputError: The name, the folder, the file or the device does not exist, the folder is not an
            open_clip model, or its preprocessing is not "shorter side, then centre crop", which is what
            ``data`` does.
    """
    _check_device(device)
    for kind in ("local-dir:", "moco:"):
        if model.startswith(kind):  # a trained artefact keeps the address, and is used from other folders
            model = f"{kind}{Path(model.removeprefix(kind)).resolve()}"
    if pretrained and Path(pretrained).is_file():
        pretrained = str(Path(pretrained).resolve())
    if model.startswith("moco:"):
        found = load_moco(Path(model.removeprefix("moco:")), device)
    else:
        address = f"local-dir:{files('tpsnet') / 'assets' / 'tiny_clip'}" if model == EMBEDDED else model
        found = _load_clip(address, pretrained, device)
    found.model, found.pretrained = model, pretrained
    return found


def _load_clip(model: str, pretrained: str | None, device: str) -> Backbone:
    folder = model.removeprefix("local-dir:") if model.startswith("local-dir:") else None
    if folder is None:
        if model not in open_clip.list_models():
            raise InputError(
                f"unknown CLIP {model!r}; give local-dir:FOLDER, moco:FILE or one of open_clip.list_models()"
            )
        if pretrained is None:
            tags = ", ".join(open_clip.list_pretrained_tags_by_model(model)[:6])
            raise InputError(
                f"CLIP {model!r} needs pretrained weights: name a tag ({tags}) or a weights file"
            )
    else:
        _check_folder(Path(folder))
    try:
        clip, _, _ = open_clip.create_model_and_transforms(
            model, pretrained=pretrained, force_quick_gelu=_quick_gelu(model, pretrained)
        )
        tokenizer = open_clip.get_tokenizer(model)
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"cannot load CLIP {model!r}: {reason}") from None
    preprocess = open_clip.get_model_preprocess_cfg(clip)
    if preprocess.get("resize_mode", "shortest") != "shortest":
        raise InputError(
            f"CLIP {model!r} resizes by {preprocess['resize_mode']!r}; only 'shortest' (shorter side, then "
            "centre crop) is supported"
        )
    return Backbone(clip, tokenizer, preprocess["mean"], preprocess["std"]).to(device)


def _check_device(device: str) -> None:
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # a build without CUDA asserts
        reason = str(error).splitlines()[0][:150]
        raise InputError(f"no device {device!r} here: {reason}") from None


def _quick_gelu(model: str, pretrained: str | None) -> bool:
    """Whether the tag's weights want QuickGELU: open_clip only warns when the name does not say so."""
    tag = open_clip.get_pretrained_cfg(model, pretrained) if pretrained else {}
    return bool(tag.get("quick_gelu", False))


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise InputError(
            f"no folder {folder}; local-dir: needs a folder with open_clip_config.json and weights"
        )
    if not (folder / "open_clip_config.json").is_file():
        raise InputError(f"{folder} has no open_clip_config.json; local-dir: needs it beside the weights")
    if not any(folder.glob("*.safetensors")):
        raise InputError(f"{folder} has no .safetensors weights beside open_clip_config.json")
