"""A folder with a CLIP as the package transformers keeps it, read as open_clip's network.

Source: ``CLIPConfig``, ``CLIPModel`` and ``CLIPImageProcessor`` of transformers 4 and 5; values that a file
leaves out are theirs. Ours is stricter: what open_clip would compute in another way is refused, mean and
deviation must be there, and every tensor must have its place. The tokenizer is open_clip's own, and so is the
cut of the centre: where an odd number of pixels is left over, transformers' may lie one pixel beside it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import open_clip
import torch
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from torch import Tensor

from tpsnet.backbone.clip import Backbone
from tpsnet.backbone.folder import CONFIG, MEND, WORDS, Count, Deviation, Mean, Side, Text, Vision
from tpsnet.backbone.weights import read_state, shapes
from tpsnet.errors import InputError
from tpsnet.io import read_json, validated
from tpsnet.types import Resize

THEIRS = "config.json"
IMAGES = "preprocessor_config.json"
BOTH = "processor_config.json"  # where transformers 5 keeps images and words together
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
MARK = "visual_projection.weight"  # a name that only these weights hold
POSITIONS = ("text_model.embeddings.position_ids", "vision_model.embeddings.position_ids")  # 0, 1, 2, …

# Names in open_clip's network and theirs; what follows a name is the same in both.
NAMES = {
    "visual.transformer.resblocks.": "vision_model.encoder.layers.",
    "visual.class_embedding": "vision_model.embeddings.class_embedding",
    "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "visual.conv1": "vision_model.embeddings.patch_embedding",
    "visual.ln_pre": "vision_model.pre_layrnorm",
    "visual.ln_post": "vision_model.post_layernorm",
    "visual.proj": "visual_projection.weight",
    "transformer.resblocks.": "text_model.encoder.layers.",
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "token_embedding": "text_model.embeddings.token_embedding",
    "ln_final": "text_model.final_layer_norm",
    "text_projection": "text_projection.weight",
    "logit_scale": "logit_scale",
}
IN_A_LAYER = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
STACKED = "attn.in_proj_"  # queries, keys and values in one
TRANSPOSED = ("visual.proj", "text_projection")

Layers = Annotated[int, Field(ge=1, le=256)]
Epsilon = Annotated[float, Field(ge=1e-5, le=1e-5)]  # of open_clip's layer norms


class Part(BaseModel):
    """Fields that are not named here do not change a vector."""

    model_config = ConfigDict(extra="allow", strict=True)


class Tower(Part):
    """What both towers' configurations hold."""

    hidden_size: Count
    intermediate_size: Count
    num_hidden_layers: Layers = 12
    num_attention_heads: Count
    hidden_act: Literal["quick_gelu", "gelu"] = "quick_gelu"
    layer_norm_eps: Epsilon = 1e-5

    @model_validator(mode="after")
    def _heads(self) -> "Tower":
        if self.hidden_size % self.num_attention_heads:
            raise ValueError("num_attention_heads must divide hidden_size")
        return self

    @property
    def ratio(self) -> float:
        """Width in the perceptrons over that of the tower; open_clip rounds their product down."""
        return (self.intermediate_size + 0.5) / self.hidden_size


class VisionConfig(Tower):
    """``vision_config``; the values left out are those of ViT-B/32."""

    hidden_size: Count = 768
    intermediate_size: Count = 3072
    num_attention_heads: Count = 12
    image_size: Side = 224
    patch_size: Count = 32
    num_channels: Literal[3] = 3


class TextConfig(Tower):
    """``text_config``; a text is known by its last word, which has the largest id (2 stands for that too)."""

    hidden_size: Count = 512
    intermediate_size: Count = 2048
    num_attention_heads: Count = 8
    max_position_embeddings: Annotated[int, Field(ge=8, le=1024)] = 77
    vocab_size: Literal[49408] = WORDS
    eos_token_id: Literal[2, 49407] = WORDS - 1


class Model(Part):
    """``config.json`` of the ``model_type`` clip."""

    projection_dim: Count = 512
    text_config: TextConfig
    vision_config: VisionConfig

    @model_validator(mode="before")
    @classmethod
    def _older(cls, value: dict[str, Any]) -> dict[str, Any]:
        """``text_config_dict`` of older files stands for all of ``text_config``, and so for images."""
        parts = {}
        for name in ("text_config", "vision_config"):
            older = value.get(f"{name}_dict")
            parts[name] = older if older is not None else value.get(name) or {}
        return value | parts

    @model_validator(mode="after")
    def _activation(self) -> "Model":
        texts, images = self.text_config.hidden_act, self.vision_config.hidden_act
        if texts != images:
            raise ValueError(f"hidden_act is {texts} for texts and {images} for images; open_clip has one")
        return self

    def described(self, file: Path) -> dict[str, Any]:
        """The same in open_clip's terms: its ``model_cfg``.

        Raises:
            InputError: A value is out of open_clip's range; names the file.
        """
        vision, text = self.vision_config, self.text_config
        images = {
            "image_size": vision.image_size,
            "patch_size": vision.patch_size,
            "width": vision.hidden_size,
            "layers": vision.num_hidden_layers,
            "head_width": vision.hidden_size // vision.num_attention_heads,
            "mlp_ratio": vision.ratio,
        }
        texts = {
            "context_length": text.max_position_embeddings,
            "vocab_size": text.vocab_size,
            "width": text.hidden_size,
            "layers": text.num_hidden_layers,
            "heads": text.num_attention_heads,
            "mlp_ratio": text.ratio,
        }
        validated(Vision, images, file, "vision_config", MEND)
        validated(Text, texts, file, "text_config", MEND)
        quick = vision.hidden_act == "quick_gelu"
        return {
            "embed_dim": self.projection_dim,
            "vision_cfg": images,
            "text_cfg": texts,
            "quick_gelu": quick,
        }


def _edge(value: object) -> object:
    return {"shortest_edge": value} if isinstance(value, int) else value


def _square(value: object) -> object:
    return {"height": value, "width": value} if isinstance(value, int) else value


Processor = Literal[
    "CLIPImageProcessor", "CLIPImageProcessorFast", "CLIPImageProcessorPil", "CLIPFeatureExtractor"
]
Byte = Annotated[float, Field(ge=0.999 / 255, le=1.001 / 255)]


class Preprocess(Part):
    """``preprocessor_config.json``; pixels are in [0, 1] when mean and deviation are applied."""

    image_processor_type: Processor | None = None
    feature_extractor_type: Processor | None = None
    image_mean: Annotated[list[Mean], Field(min_length=3, max_length=3)]
    image_std: Annotated[list[Deviation], Field(min_length=3, max_length=3)]
    do_resize: Literal[True] = True
    size: Annotated[dict[str, int | None], BeforeValidator(_edge)] = {"shortest_edge": 224}
    resample: Literal[2, 3] = 3  # bilinear, bicubic
    do_center_crop: bool = True
    crop_size: Annotated[dict[str, int] | None, BeforeValidator(_square)] = _square(224)
    do_rescale: Literal[True] = True
    rescale_factor: Byte = 1 / 255
    do_normalize: Literal[True] = True
    do_pad: Literal[False] | None = None

    def resize(self, side: int, file: Path) -> Resize:
        """How an image becomes a square of ``side`` px.

        Raises:
            InputError: It does not, or in a way that open_clip has not; names the file.
        """
        square, size = _square(side), {name: n for name, n in self.size.items() if n is not None}
        kind = "bilinear" if self.resample == 2 else "bicubic"
        cut = self.crop_size == square if self.do_center_crop else None
        if size == {"shortest_edge": side} and cut:
            return Resize(side, "shortest", kind)
        if size == square and cut is not False:
            return Resize(side, "squash", kind)
        cropped = f"crop_size {self.crop_size}" if self.do_center_crop else "no do_center_crop"
        raise InputError(
            f"{file}: size {self.size} and {cropped}; images of {side} px, the image_size of {THEIRS}, need "
            f"size {_edge(side)} with do_center_crop to {side}, or size {square}; {MEND}"
        )


@dataclass(frozen=True)
class Found:
    """What a folder holds, checked and in open_clip's terms.

    Attributes:
        model: Configuration of the network, open_clip's ``model_cfg``.
        weights: The weights file.
        names: The file's names for each tensor of the network.
        resize: How an image becomes as large as the network takes it.
        mean: Mean of each channel.
        std: Deviation of each channel.
    """

    model: dict[str, Any]
    weights: Path
    names: dict[str, list[str]]
    resize: Resize
    mean: list[float]
    std: list[float]

    def backbone(self) -> Backbone:
        """The network with its weights, in float32."""
        tensors = read_state(self.weights)
        clip = open_clip.CLIP(**self.model)
        clip.load_state_dict({name: _joined(name, theirs, tensors) for name, theirs in self.names.items()})
        tokenizer = open_clip.SimpleTokenizer(context_length=self.model["text_cfg"]["context_length"])
        return Backbone(clip, tokenizer, self.resize, self.mean, self.std)


def in_transformers_format(folder: Path) -> bool:
    """Whether a folder has the package's ``config.json``, and none of open_clip's, which goes before it.

    Raises:
        InputError: ``config.json`` cannot be read.
    """
    if (folder / CONFIG).exists() or not (folder / THEIRS).exists():
        return False
    return "model_type" in read_json(folder / THEIRS, mend=MEND)


def check_transformers(folder: Path) -> Found:
    """Configuration, preprocessing, words and weights of a folder, before a network is built.

    Raises:
        InputError: something is missing, damaged, of another model than CLIP, or not as open_clip computes
            it; names the first.
    """
    file = folder / THEIRS
    kind = read_json(file, mend=MEND)["model_type"]
    if kind != "clip":
        raise InputError(
            f"{file}: model_type is {kind!r:.80}, and of the package transformers only clip is read; give "
            f"the model in open_clip's own format, a folder with {CONFIG}"
        )
    config: Model = read_json(file, Model, MEND)
    model = config.described(file)
    file, images = _images(folder)
    resize = images.resize(config.vision_config.image_size, file)
    _check_words(folder)
    weights = _weights(folder)
    return Found(model, weights, _names(model, weights), resize, images.image_mean, images.image_std)


def _images(folder: Path) -> tuple[Path, Preprocess]:
    if (folder / IMAGES).exists():
        return folder / IMAGES, read_json(folder / IMAGES, Preprocess, MEND)
    if not (folder / BOTH).exists():
        raise InputError(
            f"{folder} has no {IMAGES}, so that nothing says how images are prepared; fetch it too, or save "
            "the model's image processor into the folder"
        )
    found = read_json(folder / BOTH, mend=MEND).get("image_processor")
    return folder / BOTH, validated(Preprocess, found, folder / BOTH, "image_processor", MEND)


def _check_words(folder: Path) -> None:
    """A vocabulary that lies in the folder must be that of open_clip's tokenizer."""
    own = {word: n for word, n in open_clip.SimpleTokenizer().encoder.items() if n < WORDS - 2}
    for name in ("vocab.json", "tokenizer.json"):
        if not (folder / name).exists():
            continue
        found = read_json(folder / name, mend=MEND)
        if name == "tokenizer.json":
            model = found.get("model")
            found = model.get("vocab") if isinstance(model, dict) else None
        if not isinstance(found, dict) or any(found.get(word) != n for word, n in own.items()):
            raise InputError(
                f"{folder / name} holds another vocabulary than CLIP's, and only CLIP's is read; give the "
                f"model in open_clip's own format, a folder with {CONFIG}"
            )


def _weights(folder: Path) -> Path:
    for name in WEIGHTS:
        if (folder / name).is_symlink() or (folder / name).exists():
            return folder / name
        if (folder / f"{name}.index.json").exists():
            raise InputError(
                f"{folder} has its weights in several files ({name}.index.json), which are not read; save "
                'them as one, save_pretrained(FOLDER, max_shard_size="100GB")'
            )
    raise InputError(f"{folder} has no {WEIGHTS[0]} and no {WEIGHTS[1]} beside {THEIRS}; fetch the weights")


def _names(model: dict[str, Any], file: Path) -> dict[str, list[str]]:
    """The file's names for each tensor of the network; none is missing, left over or of another shape."""
    with torch.device("meta"):  # names and shapes without numbers
        expected = {name: t.shape for name, t in open_clip.CLIP(**model).state_dict().items()}
    found = {name: shape for name, shape in shapes(file).items() if name not in POSITIONS}
    names = {name: _theirs(name) for name in expected}
    for name, theirs in names.items():
        shape = tuple(reversed(expected[name])) if name in TRANSPOSED else tuple(expected[name])
        if len(theirs) > 1:
            shape = (shape[0] // len(theirs), *shape[1:])
        for one in theirs:
            if one not in found:
                raise InputError(f"{file} has no {one}, which {THEIRS} describes; fetch the folder anew")
            if found[one] != shape:
                raise InputError(f"{file}: {one} is {found[one]}, but {THEIRS} describes {shape}; {MEND}")
    if more := sorted(set(found) - {one for theirs in names.values() for one in theirs}):
        raise InputError(f"{file} has {more[0]:.80}, for which {THEIRS} has no place; {MEND}")
    return names


def _theirs(name: str) -> list[str]:
    """The names that a tensor of open_clip's network has in the file; three where it joins three."""
    ours, theirs = next(pair for pair in NAMES.items() if name.startswith(pair[0]))
    rest = name.removeprefix(ours)
    if not ours.endswith("resblocks."):
        return [theirs + rest]
    number, place = rest.split(".", 1)
    if place.startswith(STACKED):
        kind = place.removeprefix(STACKED)
        return [f"{theirs}{number}.self_attn.{one}_proj.{kind}" for one in "qkv"]
    module, kind = place.rsplit(".", 1)
    return [f"{theirs}{number}.{IN_A_LAYER[module]}.{kind}"]


def _joined(name: str, theirs: list[str], tensors: dict[str, Tensor]) -> Tensor:
    found = [tensors[one] for one in theirs]
    tensor = torch.cat(found) if len(found) > 1 else found[0]
    return tensor.T if name in TRANSPOSED else tensor
