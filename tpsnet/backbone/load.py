"""Names and addresses of backbones.

Every CLIP becomes open_clip's network: an open_clip name with a pretrained tag or a weights file, or
``local-dir:`` for a folder that holds weights and says itself which model and preprocessing they belong to.
Every file is checked first, and nothing in one is run.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import open_clip
import torch
from torch import Tensor

from tpsnet.backbone.clip import Backbone
from tpsnet.backbone.folder import check_folder
from tpsnet.backbone.moco import MoCo, load_moco
from tpsnet.backbone.published import named_weights
from tpsnet.backbone.transformers_clip import check_transformers, in_transformers_format
from tpsnet.errors import InputError
from tpsnet.paths import user_path
from tpsnet.types import Resize

EMBEDDED = "embedded"  # address of the small CLIP that ships with the package


def load_backbone(
    model: str = EMBEDDED, pretrained: str | None = None, device: str = "cpu"
) -> Backbone | MoCo:
    """Build a CLIP by its open_clip name and pretrained tag, or what an address names.

    Args:
        model: An open_clip name such as ``"ViT-B-16"``; ``"local-dir:FOLDER"`` where the folder holds
            ``open_clip_config.json`` and weights, or a CLIP of the package transformers (``config.json``,
            ``preprocessor_config.json`` and weights), e.g. a snapshot of the hub; ``"moco:FILE"``, a MoCo-v2
            checkpoint; or ``"embedded"``, the small CLIP that ships with the package.
        pretrained: Pretrained tag (downloads), or weights file of a named model: OpenAI's own TorchScript
            archive, a checkpoint of ``torch.save``, or safetensors. An address takes none.
        device: Where the model lives.

    Raises:
        InputError: The name, the folder, the file or the device does not exist, the folder or the file is not
            a CLIP that can be read, or weights are named beside an address.
    """
    _check_device(device)
    if pretrained and is_address(model):
        raise InputError(
            f"{model!r} has its own weights, so {pretrained!r} would not be used; leave out pretrained"
        )
    for kind in ("local-dir:", "moco:"):
        if model.startswith(kind):  # a trained artefact keeps the address, and is used from other folders
            model = f"{kind}{user_path(model.removeprefix(kind)).resolve()}"
    tag = pretrained and open_clip.get_pretrained_cfg(model, pretrained)
    if pretrained and not tag and (file := user_path(pretrained)).exists():
        pretrained = str(file.parent.resolve() / file.name)  # a link into a hub's cache keeps its suffix
    if model.startswith("moco:"):
        found = load_moco(Path(model.removeprefix("moco:")), device)
    else:
        address = f"local-dir:{files('tpsnet') / 'assets' / 'tiny_clip'}" if model == EMBEDDED else model
        found = _load_clip(address, pretrained, device)
    found.model, found.pretrained = model, pretrained
    return found


def is_address(model: str) -> bool:
    """Whether a model is named by where it lies, with its weights, and not by its name in open_clip."""
    return model == EMBEDDED or model.startswith(("local-dir:", "moco:"))


def _load_clip(model: str, pretrained: str | None, device: str) -> Backbone:
    folder = Path(model.removeprefix("local-dir:")) if model.startswith("local-dir:") else None
    if folder and in_transformers_format(folder):
        build = check_transformers(folder).backbone
    else:
        build = _checked(model, folder, pretrained)
    try:
        return build().to(device)
    except Exception as error:  # a model that does not fit its configuration provokes any kind of error
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise InputError(f"cannot load CLIP {model!r}: {reason}") from None


def _checked(model: str, folder: Path | None, pretrained: str | None) -> Callable[[], Backbone]:
    """What builds a model of open_clip's, by its name or in its folder format, once all is there."""
    if folder:
        weights, hugging_face = check_folder(folder)
        options, state = {}, None
    else:
        given = named_weights(model, pretrained)
        weights, state = given.file, given.state
        options = {"force_quick_gelu": given.quick_gelu, "force_preprocess_cfg": given.preprocessing}
        text = open_clip.get_model_config(model)["text_cfg"]
        named = text.get("hf_model_name") or text.get("hf_tokenizer_name")
        hugging_face = bool(named or "siglip" in model.lower())
    if hugging_face and find_spec("transformers") is None:
        raise InputError(
            f"CLIP {model!r} needs the package transformers for its texts; pip install transformers"
        )
    return partial(_build, model, options, weights, state)


def _build(model: str, options: dict, weights: Path, state: dict[str, Tensor] | None) -> Backbone:
    with _no_warning_of_random_weights():
        clip = open_clip.create_model(model, load_weights=False, pretrained_text=False, **options)
    if state is None:  # open_clip itself would prefer a pickle of some names in a folder
        open_clip.load_checkpoint(clip, str(weights))
    else:
        clip.load_state_dict(state)
    cfg = open_clip.get_model_preprocess_cfg(clip)
    return Backbone(clip, open_clip.get_tokenizer(model), _resize(cfg), cfg["mean"], cfg["std"])


def _resize(cfg: dict) -> Resize:
    """What open_clip's preprocessing does with its configuration.

    Outside training "random" is bicubic, and so is what covers a size that is no square, whatever is named.
    """
    height, width = cfg["size"] if isinstance(cfg["size"], list | tuple) else (cfg["size"],) * 2
    covered = cfg["resize_mode"] == "shortest" and height != width
    kind = "bilinear" if cfg["interpolation"] == "bilinear" and not covered else "bicubic"
    return Resize((height, width), cfg["resize_mode"], kind, cfg["fill_color"])


@contextmanager
def _no_warning_of_random_weights() -> Iterator[None]:
    """Where open_clip builds a network whose weights come right after."""
    log = logging.getLogger()
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def _check_device(device: str) -> None:
    try:
        torch.zeros(1, device=device).cpu()  # "meta" holds no numbers to bring back
    except (RuntimeError, AssertionError) as error:  # a build without CUDA asserts
        reason = str(error).splitlines()[0][:150]
        raise InputError(f"no device {device!r} here: {reason}") from None
