"""A CLIP as L2-normalised vectors, image tokens, and texts with learned words."""

import contextlib
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from open_clip.transformer import QuickGELU
from torch import Tensor, nn

from tpsnet.backbone.tower import Encoder
from tpsnet.io import crc32
from tpsnet.types import Resize

PROBE = ["A line drawing of an ant", "two Größen, naïve co-workers' 1st supercalifragilistic ☕"]


class Backbone(Encoder):
    """A CLIP model that takes RGB in [0, 1] and gives L2-normalised vectors.

    Args:
        clip: A model built by open_clip.
        tokenizer: The model's tokenizer.
        resize: How the model's preprocessing resizes an image.
        mean: Per-channel mean of the model's preprocessing.
        std: Per-channel standard deviation of the model's preprocessing.

    Attributes:
        dim: Length of an embedding.
        token_dim: Channels of an image token.
        identity: Checksum of the weights as they were loaded; a copy that is trained further keeps it.
        preprocessing: What else its vectors depend on: resize, mean, deviation, and a checksum of what the
            tokenizer makes of some texts.
        quick_gelu: Whether it computes QuickGELU, on which its vectors depend too.
        model: Name or address that the model was loaded from, see ``load_backbone``.
        pretrained: Tag or file of the weights; ``None`` where an address needs none.
    """

    model: str = ""
    pretrained: str | None = None

    def __init__(
        self, clip: nn.Module, tokenizer, resize: Resize, mean: Sequence[float], std: Sequence[float]
    ) -> None:
        super().__init__()
        self.clip = clip.to(memory_format=torch.channels_last)
        self.tokenizer, self.resize, self.identity = tokenizer, resize, checksum(clip)
        self.quick_gelu = any(isinstance(module, QuickGELU) for module in clip.modules())
        words = f"{crc32(tokenizer(PROBE)):08x}"
        self.preprocessing = f"{preprocessing(resize, mean, std)}, words {words}"
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)
        with torch.no_grad():
            blank = torch.zeros(1, 3, *resize.sides, device=self.mean.device)
            vector, tokens = self.eval().encode_tokens(blank)
        self.dim, self.token_dim = vector.shape[1], tokens.shape[2]

    @property
    def tower(self) -> nn.Module:
        """The image tower: what fine-tuning trains."""
        return self.clip.visual

    def freeze_texts(self) -> None:
        """Let no gradient be computed for anything but the image tower."""
        tower = {id(p) for p in self.tower.parameters()}
        for p in self.parameters():
            if id(p) not in tower:
                p.requires_grad_(False)

    def encode_tokens(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> tuple[Float[Tensor, "batch dim"], Float[Tensor, "batch tokens channels"]]:
        """L2-normalised embeddings, and the last feature map as a sequence of tokens, in one pass."""
        forward = self.__dict__.get("compiled_tokens", self.clip.forward_intermediates)

        def encode(part: Tensor) -> tuple[Tensor, Tensor]:
            out = forward(self._prepare(part), image_indices=1, normalize=False)
            tokens = out["image_intermediates"][-1].flatten(2).transpose(1, 2).float()
            return F.normalize(out["image_features"].float(), dim=1), tokens

        return self._run(encode, images)

    def _compile(self) -> None:
        super()._compile()
        self.__dict__["compiled_tokens"] = torch.compile(self.clip.forward_intermediates)

    def encode_text(self, texts: list[str]) -> Float[Tensor, "text dim"]:
        """L2-normalised embeddings of plain texts, without gradient."""
        with torch.no_grad():
            tokens = self.tokenizer(texts).to(self.mean.device)
            return F.normalize(self.clip.encode_text(tokens).float(), dim=1)

    def encode_contexts(
        self,
        tokens: Int[Tensor, "prompt length"],
        contexts: Float[Tensor, "prompt context width"],
        start: int,
    ) -> Float[Tensor, "prompt dim"]:
        """L2-normalised embeddings of token sequences in which learned vectors stand in for some words.

        Args:
            tokens: Token ids; the ids under the learned vectors are placeholders.
            contexts: The learned vectors, in the text tower's width.
            start: Position of the first learned vector in the sequence.
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
        found = crc32(tensor, found)
    return f"{found:08x}"


def preprocessing(resize: Resize, mean: Sequence[float], std: Sequence[float]) -> str:
    """How pixels are prepared, as text."""
    numbers = (" ".join(f"{value:.6g}" for value in values) for values in (mean, std))
    return "resize {}, mean {}, std {}".format(resize, *numbers)


@contextlib.contextmanager
def _forward_hook(module: nn.Module, hook) -> Iterator[None]:
    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()
