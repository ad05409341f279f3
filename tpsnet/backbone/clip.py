"""open_clip in, unit vectors and image tokens out.

One loading path serves every model: an open_clip name with a pretrained tag, or ``local-dir:`` for a
folder that holds weights *and* preprocessing (a bare weights file can silently get the wrong
preprocessing, open_clip #1068).
"""

import contextlib
import zlib
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path

import open_clip
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from safetensors import SafetensorError
from torch import Tensor, nn

from tpsnet.types import InputError


class Backbone(nn.Module):
    """A CLIP model that takes RGB in [0, 1] and gives unit vectors.

    Args:
        clip: a model built by open_clip.
        tokenizer: its tokenizer.
        mean: per-channel mean of the model's preprocessing.
        std: per-channel standard deviation of the model's preprocessing.

    Attributes:
        dim: length of an embedding.
        token_dim: channels of an image token.
        image_size: side of the square input in pixels.
        identity: checksum of the weights as they were loaded; a copy that is trained on keeps it.
    """

    def __init__(self, clip: nn.Module, tokenizer, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.clip = clip.to(memory_format=torch.channels_last)
        self.tokenizer, self.identity = tokenizer, checksum(clip)
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)
        size = clip.visual.image_size
        self.image_size = size if isinstance(size, int) else size[0]
        with torch.no_grad():
            blank = torch.zeros(1, 3, self.image_size, self.image_size, device=self.mean.device)
            vector, tokens = self.eval().encode_tokens(blank)
        self.dim, self.token_dim = vector.shape[1], tokens.shape[2]

    def train(self, mode: bool = True) -> "Backbone":
        """Batch-norm layers stay in evaluation mode: their statistics belong to the pretraining."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        return self

    @property
    def tower(self) -> nn.Module:
        """The image tower: what fine-tuning trains."""
        return self.clip.visual

    def encode_image(
        self, images: Float[Tensor, "batch 3 size size"], tower: nn.Module | None = None
    ) -> Float[Tensor, "batch dim"]:
        """Unit embeddings of RGB images in [0, 1], by a copy of ``tower`` if one is given."""
        encode = self.clip.encode_image if tower is None else tower
        return F.normalize(encode(self._prepare(images)).float(), dim=1)

    def encode_tokens(
        self, images: Float[Tensor, "batch 3 size size"]
    ) -> tuple[Float[Tensor, "batch dim"], Float[Tensor, "batch tokens width"]]:
        """Unit embeddings, and the last feature map as a sequence of tokens, in one pass."""
        out = self.clip.forward_intermediates(self._prepare(images), image_indices=1, normalize=False)
        vectors = F.normalize(out["image_features"].float(), dim=1)
        return vectors, out["image_intermediates"][-1].flatten(2).transpose(1, 2).float()

    def _prepare(self, images: Tensor) -> Tensor:
        # Channels last, as the weights are: convolutions on a processor run about three times faster.
        return ((images - self.mean) / self.std).contiguous(memory_format=torch.channels_last)

    def encode_text(self, texts: list[str]) -> Float[Tensor, "text dim"]:
        """Unit embeddings of plain texts, without gradient."""
        with torch.no_grad():
            tokens = self.tokenizer(texts).to(self.mean.device)
            return F.normalize(self.clip.encode_text(tokens).float(), dim=1)

    def encode_contexts(
        self,
        tokens: Int[Tensor, "prompt length"],
        contexts: Float[Tensor, "prompt context width"],
        start: int,
    ) -> Float[Tensor, "prompt dim"]:
        """Unit embeddings of token sequences in which learned vectors stand in for some words.

        Args:
            tokens: token ids; the ids under the learned vectors are placeholders.
            contexts: the learned vectors, in the text tower's width.
            start: position of the first learned vector in the sequence.
        """
        stop = start + contexts.shape[1]

        def put_contexts(module: nn.Module, args: tuple, words: Tensor) -> Tensor:
            return torch.cat([words[:, :start], contexts.to(words.dtype), words[:, stop:]], dim=1)

        # A hook on the word embedding serves every text tower of open_clip alike.
        with _forward_hook(self.word_embedding, put_contexts):
            return F.normalize(self.clip.encode_text(tokens).float(), dim=1)

    @property
    def word_embedding(self) -> nn.Embedding:
        """The text tower's table of word vectors."""
        tower = self.clip.text if hasattr(self.clip, "text") else self.clip
        return tower.token_embedding


def checksum(module: nn.Module) -> str:
    """CRC-32 of all weights and buffers, in their order."""
    found = 0
    for tensor in module.state_dict().values():
        found = zlib.crc32(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy(), found)
    return f"{found:08x}"


@contextlib.contextmanager
def _forward_hook(module: nn.Module, hook) -> Iterator[None]:
    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def load_backbone(model: str, pretrained: str | None = None, device: str = "cpu") -> Backbone:
    """Build a CLIP by its open_clip name and pretrained tag, or from ``local-dir:FOLDER``.

    Args:
        model: an open_clip name such as ``"ViT-B-16"``, or ``"local-dir:FOLDER"`` where the folder holds
            ``open_clip_config.json`` and safetensors weights.
        pretrained: pretrained tag (downloads) or weights file of a named model; a folder needs none.
        device: where the model lives.

    Raises:
        InputError: the name, the folder or the device does not exist, the folder is not an open_clip model,
            or its preprocessing is not "shorter side, then centre crop", which is what ``data`` does.
    """
    folder = model.removeprefix("local-dir:") if model.startswith("local-dir:") else None
    if folder is None:
        if model not in open_clip.list_models():
            raise InputError(
                f"unknown CLIP {model!r}; give a name from open_clip.list_models() or local-dir:FOLDER"
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
            model, pretrained=pretrained, device=device, force_quick_gelu=_quick_gelu(model, pretrained)
        )
        tokenizer = open_clip.get_tokenizer(model)
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, AssertionError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"cannot load CLIP {model!r}: {reason}") from None
    preprocess = open_clip.get_model_preprocess_cfg(clip)
    if preprocess.get("resize_mode", "shortest") != "shortest":
        raise InputError(
            f"CLIP {model!r} resizes by {preprocess['resize_mode']!r}; only 'shortest' (shorter side, then "
            "centre crop) is supported"
        )
    return Backbone(clip, tokenizer, preprocess["mean"], preprocess["std"]).to(device)


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


def embedded_clip() -> str:
    """Address of the small CLIP that ships with the package."""
    return f"local-dir:{files('tpsnet') / 'assets' / 'tiny_clip'}"
