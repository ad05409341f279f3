"""Weights of a named model as a folder that says itself what it holds, for places without a network."""

from pathlib import Path

import open_clip

from tpsnet.backbone.clip import Backbone
from tpsnet.backbone.folder import CONFIG, NAMES
from tpsnet.backbone.load import load_backbone
from tpsnet.errors import InputError
from tpsnet.io import replacing, save_tensors, write_json
from tpsnet.paths import sweep, user_path


def keep_weights(model: str, pretrained: str, folder: str | Path) -> Path:
    """Write ``open_clip_config.json`` and safetensors, whole or not at all, and read them back once.

    What a killed call for the same folder has left beside it is removed first.

    The configuration holds the activation and the preprocessing as they are resolved for the tag; what the
    folder gives are the same vectors.

    Args:
        model: An open_clip name.
        pretrained: Its tag, which is fetched if it is not there yet, or a weights file.
        folder: The new folder.

    Returns:
        The folder, from the root on.

    Raises:
        InputError: something is at the folder's place, see ``load_backbone`` and ``replacing``, or what was
            written is not read back as the same network.
    """
    folder = user_path(folder).resolve()
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise InputError(f"there is something at {folder} already; name a new folder for the weights")
    sweep(folder.parent, folder.name)
    backbone = load_backbone(model, pretrained)
    with replacing(folder) as partial:
        partial.mkdir()
        _write(backbone, partial)
        expected = _facts(backbone)
        del backbone  # a large one would not fit twice
        found = _facts(load_backbone(f"local-dir:{partial}"))
        if found != expected:
            raise InputError(
                f"{model} {pretrained} reads back from {folder} as {found}, not {expected}; check the disk"
            )
    return folder


def _write(backbone: Backbone, folder: Path) -> None:
    config = open_clip.get_model_config(backbone.model)
    if backbone.quick_gelu:
        config["quick_gelu"] = True
    preprocessing = open_clip.get_model_preprocess_cfg(backbone.clip)
    write_json(folder / CONFIG, {"model_cfg": config, "preprocess_cfg": preprocessing})
    # Tied weights are written twice: safetensors holds no ties.
    state = {name: t.contiguous().clone() for name, t in backbone.clip.state_dict().items()}
    save_tensors(folder / NAMES[0], state, {"format": "pt"})
    if hasattr(backbone.tokenizer, "save_pretrained"):  # not open_clip's own, which needs no file
        backbone.tokenizer.save_pretrained(folder)


def _facts(backbone: Backbone) -> tuple[str, str, bool]:
    """All that its vectors depend on."""
    return backbone.identity, backbone.preprocessing, backbone.quick_gelu
