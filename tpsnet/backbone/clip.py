"""A CLIP as L2-normalised vectors, image tokens, and texts with learned words."""

import contextlib
import zlib
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn


class Backbone(nn.Module):
    """A CLIP model that takes RGB in [0, 1] and gives L2-normalised vectors.

    Args:
        clip: A model built by open_clip.
        tokenizer: The model's tokenizer.
        mean: Per-channel mean of the model's preprocessing.
        std: Per-channel standard deviation of the model's preprocessing.

    Attributes:
        dim: Length of an embedding.
        token_dim: Channels of an image token.
        image_size: Side of the square input in pixels.
        identity: Checksum of the weights as they were loaded; a copy that is trained further keeps it.
        model: Name or address that the model was loaded from, see ``load_backbone``.
        pretrained: Tag or file of the weights; ``None`` where an address needs none.
    """

    model: str = ""
    pretrained: str | None = None

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

    def freeze_texts(self) -> None:
        """Let no gradient be computed for anything but the image tower."""
        tower = {id(p) for p in self.tower.parameters()}
        for p in self.parameters():
            if id(p) not in tower:
                p.requires_grad_(False)

    def encode_image(
        self, images: Float[Tensor, "batch 3 size size"], tower: nn.Module | None = None
    ) -> Float[Tensor, "batch dim"]:
        """L2-normalised embeddings of RGB images in [0, 1], by a copy of ``tower`` if one is given."""
        vectors = (self.tower if tower is None else tower)(self._prepare(images))
        vectors = vectors[0] if isinstance(vectors, tuple) else vectors  # a CoCa's tower gives tokens too
        return F.normalize(vectors.float(), dim=1)

    def encode_tokens(
        self, images: Float[Tensor, "batch 3 size size"]
    ) -> tuple[Float[Tensor, "batch dim"], Float[Tensor, "batch tokens width"]]:
        """L2-normalised embeddings, and the last feature map as a sequence of tokens, in one pass."""
        out = self.clip.forward_intermediates(self._prepare(images), image_indices=1, normalize=False)
        vectors = F.normalize(out["image_features"].float(), dim=1)
        return vectors, out["image_intermediates"][-1].flatten(2).transpose(1, 2).float()

    def _prepare(self, images: Tensor) -> Tensor:
        # Channels last, as the weights are: convolutions on a processor run about three times faster.
        return ((images - self.mean) / self.std).contiguous(memory_format=torch.channels_last)

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
        found = zlib.crc32(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy(), found)
    return f"{found:08x}"


@contextlib.contextmanager
def _forward_hook(module: nn.Module, hook) -> Iterator[None]:
    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()
