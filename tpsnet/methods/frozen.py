"""The floor: CLIP as it comes, with or without each domain's mean removed. Nothing is trained."""

from collections.abc import Sequence

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from tpsnet.backbone import Backbone, MoCo, embed_all
from tpsnet.types import Images, InputError


class Frozen(nn.Module):
    """Untouched CLIP embeddings.

    Args:
        backbone: the CLIP.
        centre: pictures of some domains. The mean embedding of a domain's is removed from every vector of
            that domain, then rows are normalised; no label is used. Without any, vectors stay as they are.
    """

    def __init__(self, backbone: Backbone | MoCo, centre: Sequence[Images] = ()) -> None:
        super().__init__()
        self.backbone = backbone.eval()
        self.means = {images.name: self._encode(images).mean(dim=0) for images in centre}

    def embed(self, images: Images) -> Float[Tensor, "n dim"]:
        """Unit rows, on the CPU.

        Raises:
            InputError: the floor is centred, but not for this domain.
        """
        vectors = self._encode(images)
        if not self.means:
            return vectors
        if images.name not in self.means:
            raise InputError(f"domain {images.name!r} is not one of the centred ones {list(self.means)}")
        return F.normalize(vectors - self.means[images.name], dim=1)

    def _encode(self, images: Images) -> Float[Tensor, "n dim"]:
        return embed_all(self.backbone.encode_image, images, device=self.backbone.mean.device)
