"""The baselines: a backbone as it comes, centred, averaged with mirror images. Nothing is trained."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from tpsnet.backbone import Backbone, MoCo, class_texts, embed_all, embed_with_flip
from tpsnet.data import style_of
from tpsnet.methods.base import Method, require_clip
from tpsnet.settings import Settings
from tpsnet.types import Images


@dataclass(frozen=True)
class FrozenConfig(Settings):
    """Config of the baseline.

    Attributes:
        centred: Whether the mean of each domain's training images is removed; no label is used.
        flipped: Whether the vector of an image is averaged with that of its mirror image (test-time
            augmentation).
    """

    centred: bool = False
    flipped: bool = False

    def told(self, names: tuple[str, ...]) -> "FrozenConfig":
        """The baseline is told nothing of the classes."""
        return self


class Frozen(Method):
    """Untouched embeddings; or averaged with those of mirror images; or less the mean of their domain."""

    name = "Frozen"

    def __init__(self, backbone: Backbone | MoCo, cfg: FrozenConfig, seed: int = 0) -> None:
        super().__init__(backbone, cfg, seed)
        self.register_buffer("offsets", torch.zeros(2, backbone.dim))

    def prepare(self, images: tuple[Images, Images]) -> None:
        """Take the mean of each domain, if it is to be removed."""
        super().prepare(images)
        if self.cfg.centred:
            self.offsets.copy_(torch.stack([self._encode(x).mean(dim=0) for x in images]))

    def embed(self, images: Images, domain: str | None = None) -> Float[Tensor, "n dim"]:
        """See ``Method.embed``; uncentred, any domain may come."""
        vectors = self._encode(images)
        if not self.cfg.centred:
            return vectors
        return F.normalize(vectors - self.offsets[self.domain_index(domain or images.name)].cpu(), dim=1)

    def embed_texts(self, texts: Sequence[str], domain: str) -> Float[Tensor, "text dim"]:
        """See ``Method.embed_texts``; uncentred, texts stay as they are too."""
        if self.cfg.centred:
            return super().embed_texts(texts, domain)
        return class_texts(require_clip(self.given, "a text query"), texts, style_of(domain)).cpu()

    def _encode(self, images: Images) -> Float[Tensor, "n dim"]:
        if not self.cfg.flipped:
            return embed_all(self.given.encode_image, images, device=self.device)
        plain, mirrored = embed_with_flip(self.given.encode_image, images, device=self.device)
        return F.normalize(plain + mirrored, dim=1)
