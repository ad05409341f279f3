"""The floor: CLIP as it comes, with or without each domain's mean removed. Nothing is trained."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from tpsnet.backbone import Backbone, MoCo, embed_all
from tpsnet.types import Images


class Frozen(nn.Module):
    """Untouched CLIP embeddings.

    Args:
        backbone: the CLIP.
        centre: remove the mean embedding of the domain, then renormalise. The mean is over the pictures
            given to ``embed``; no label is used.
    """

    def __init__(self, backbone: Backbone | MoCo, *, centre: bool = False) -> None:
        super().__init__()
        self.backbone, self.centre = backbone.eval(), centre

    def embed(self, images: Images) -> Float[Tensor, "n dim"]:
        """Unit rows, on the CPU."""
        vectors = embed_all(self.backbone.encode_image, images, device=self.backbone.mean.device)
        return F.normalize(vectors - vectors.mean(dim=0), dim=1) if self.centre else vectors
