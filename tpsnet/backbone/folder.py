"""A folder with a CLIP in open_clip's format: configuration and weights, checked before anything is built.

Source: ``open_clip_config.json`` as open_clip 3 reads it. Ours is stricter: mean and deviation must be there,
a value that open_clip would pass over is refused, and weights are safetensors, or else a checkpoint that is
unpickled without objects.
"""

import math
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from tpsnet.backbone.weights import shapes
from tpsnet.errors import InputError
from tpsnet.io import read_json

CONFIG = "open_clip_config.json"
NAMES = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "model.safetensors")
OLDER = ("open_clip_pytorch_model.bin", "pytorch_model.bin")  # used where there are no safetensors
WORDS = 49408  # of open_clip's own tokenizer
MEND = "mend the value, or fetch the folder anew"


def _sides(value: object) -> object:
    """Height and width; a square's side may be given once."""
    return tuple(value) if isinstance(value, list) else (value, value)


def _several(value: object) -> object:
    return value if isinstance(value, list) else [value]


Count = Annotated[int, Field(ge=1, le=2**16)]
Side = Annotated[int, Field(ge=16, le=1024)]
Sides = Annotated[tuple[Side, Side], BeforeValidator(_sides)]
Mean = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Deviation = Annotated[float, Field(ge=0.01, le=1, allow_inf_nan=False)]


class Part(BaseModel):
    """Fields that are not named here are open_clip's own matter."""

    model_config = ConfigDict(extra="allow", strict=True)


class Vision(Part):
    """``vision_cfg``; a tower of timm has its sizes by its name."""

    image_size: Sides = (224, 224)
    timm_model_name: Annotated[str, Field(pattern=r"^[\w.]+$")] | None = None
    layers: Annotated[list[Count], Field(min_length=1, max_length=4), BeforeValidator(_several)] = [12]
    width: Count = 768
    patch_size: Count | None = 16  # of a ResNet none

    @model_validator(mode="after")
    def _patches(self) -> "Vision":
        patch = self.patch_size or 16
        if self.plain and not patch <= min(self.image_size) <= max(self.image_size) < 65 * patch:
            raise ValueError("an image must have 1 to 64 patches along a side")
        if self.timm_model_name is None and not self.plain and len(set(self.image_size)) > 1:
            raise ValueError("a ResNet of open_clip's takes square images only")
        return self

    @property
    def plain(self) -> bool:
        """Whether it is a vision transformer of open_clip's own."""
        return self.timm_model_name is None and len(self.layers) == 1

    @property
    def least(self) -> int:
        """A number of weights that the tower has at least: those of attention."""
        if self.timm_model_name is not None:
            return 0
        return 4 * (self.layers[0] * self.width**2 if self.plain else (32 * self.width) ** 2)


class TokenizerOptions(BaseModel):
    """``tokenizer_kwargs``: what open_clip's models use, and nothing that loads code or files."""

    model_config = ConfigDict(extra="forbid", strict=True)
    clean: Literal["lower", "whitespace", "canonicalize"] | None = None
    strip_sep_token: bool | None = None


class Text(Part):
    """``text_cfg``."""

    context_length: Annotated[int, Field(ge=8, le=1024)] = 77
    vocab_size: Annotated[int, Field(ge=1, le=2**21)] = WORDS
    width: Count = 512
    layers: Annotated[int, Field(ge=1, le=256)] = 12
    hf_model_name: str | None = None
    hf_tokenizer_name: str | None = None
    tokenizer_kwargs: TokenizerOptions | None = None

    @model_validator(mode="after")
    def _words(self) -> "Text":
        if not self.hugging_face and self.vocab_size < WORDS:
            raise ValueError(f"open_clip's tokenizer needs a vocab_size of {WORDS} or more")
        return self

    @property
    def hugging_face(self) -> bool:
        """Whether the package transformers is needed."""
        return bool(self.hf_model_name or self.hf_tokenizer_name)

    @property
    def least(self) -> int:
        """A number of weights that the tower has at least: those of words and attention."""
        return 0 if self.hf_model_name else self.vocab_size * self.width + 4 * self.layers * self.width**2


class Model(Part):
    """``model_cfg``."""

    embed_dim: Count
    quick_gelu: bool = False
    vision_cfg: Vision
    text_cfg: Text


class Preprocess(BaseModel):
    """``preprocess_cfg``; pixels are in [0, 1]."""

    model_config = ConfigDict(extra="forbid", strict=True)
    mean: Annotated[list[Mean], Field(min_length=3, max_length=3)]
    std: Annotated[list[Deviation], Field(min_length=3, max_length=3)]
    interpolation: Literal["bicubic", "bilinear", "random"] = "bicubic"
    resize_mode: Literal["shortest", "longest", "squash"] = "shortest"
    fill_color: Annotated[int, Field(ge=0, le=255)] = 0
    mode: Literal["RGB"] = "RGB"
    size: Sides | None = None


class Folder(BaseModel):
    """``open_clip_config.json``."""

    model_cfg: Model
    preprocess_cfg: Preprocess


def check_folder(folder: Path) -> tuple[Path, bool]:
    """Its weights file, and whether it needs the package transformers.

    Raises:
        InputError: the folder, its configuration or its weights are missing or not as they should be.
    """
    if not folder.is_dir():
        raise InputError(f"no folder {folder}; local-dir: needs a folder with {CONFIG} and weights")
    if not (folder / CONFIG).exists():
        raise InputError(
            f"{folder} has no {CONFIG}; local-dir: needs it beside the weights, or a CLIP of the package "
            "transformers with its config.json"
        )
    config: Folder = read_json(folder / CONFIG, Folder, MEND)
    model, size = config.model_cfg, config.preprocess_cfg.size
    if size not in (None, model.vision_cfg.image_size):
        raise InputError(
            f"{folder / CONFIG}: preprocess_cfg.size is {_shown(size)}, but model_cfg.vision_cfg.image_size "
            f"is {_shown(model.vision_cfg.image_size)}; make them equal"
        )
    weights = _weights(folder)
    least, found = (
        model.vision_cfg.least + model.text_cfg.least,
        sum(map(math.prod, shapes(weights).values())),
    )
    if least > found:
        raise InputError(
            f"{folder / CONFIG}: model_cfg describes {least} numbers or more, and {weights.name} holds "
            f"{found}; {MEND}"
        )
    return weights, model.text_cfg.hugging_face


def _shown(sides: tuple[int, int]) -> str:
    height, width = sides
    return f"{height}" if height == width else f"{height}×{width}"


def _weights(folder: Path) -> Path:
    """The safetensors file, whatever else lies beside it; without one the checkpoint of a usual name."""
    found = sorted(folder.glob("*.safetensors"))
    if not found:
        older = [folder / name for name in OLDER if (folder / name).is_symlink() or (folder / name).exists()]
        if older:
            return older[0]
        raise InputError(f"{folder} has no .safetensors weights beside {CONFIG}, and no {OLDER[0]}")
    named = [folder / name for name in NAMES if folder / name in found]
    if not named and len(found) > 1:
        raise InputError(f"{folder} has {len(found)} .safetensors files; name the weights {NAMES[0]}")
    return (named or found)[0]
