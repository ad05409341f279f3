"""The network of UEM: maps of frozen views, to which the unmapped views are added."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from tpsnet.backbone import Backbone, MoCo
from tpsnet.methods.uem.config import UEMConfig
from tpsnet.methods.uem.memory import MemoryBanks
from tpsnet.methods.uem.unifying import Unifying
from tpsnet.methods.views import ViewMaps, apply_maps
from tpsnet.targets import Rejection, paired_centres, reject_unreturned, side_by_side
from tpsnet.types import Batch, Images


class UEMNetwork(Unifying, ViewMaps):
    """All of UEM but its stages.

    Args:
        backbone: A CLIP or a MoCo-v2 network; it stays frozen.
        cfg: The config.
        seed: Seed of clusters, the classifier's weights and batches.
    """

    augmented = 0

    def __init__(self, backbone: Backbone | MoCo, cfg: UEMConfig, seed: int = 0) -> None:
        super().__init__(backbone, cfg, seed)
        self.to(self.device)

    @property
    def trained(self) -> nn.Module:
        """The maps."""
        return self.maps

    def prepare(self, images: tuple[Images, Images]) -> None:
        """Look at all views, weigh them, fill the memory banks and count the clusters."""
        super().prepare(images)
        neighbours = max(1, min(self.cfg.neighbours, *(len(x) - 1 for x in images)))
        views = self.prepare_views(images, neighbours, self.cfg.share)
        with torch.no_grad():
            banks = [self.join(self.mapped(rows)) for rows in views]
        clusters = self.first_clusters(banks)
        self.targets = MemoryBanks(banks, clusters, self.maps, self.cfg, self.seed)
        self.targets.views = views

    def centres(
        self, first: Float[Tensor, "n dim"], second: Float[Tensor, "m dim"]
    ) -> Float[Tensor, "2 dim"]:
        """Those of images that find one another: the domains need not show the same classes."""
        return paired_centres(first, second)

    def encode(self, batch: Batch, weights: nn.Module | None = None) -> Float[Tensor, "batch dim"]:
        """See ``Unifying.encode``."""
        return self.join(apply_maps(self.training_views(batch.domain, batch.index), weights or self.maps))

    def reject(
        self, query: Float[Tensor, "query dim"], gallery: Float[Tensor, "gallery dim"], *, seed: int
    ) -> Rejection:
        """By the way to the gallery and back, in which clusters have a say; as many as training had."""
        clusters = tuple(self.n_clusters.tolist())
        found = reject_unreturned(query.to(self.device), gallery.to(self.device), clusters, seed=seed)
        return Rejection(found.rejected.cpu(), found.distance.cpu(), found.threshold.cpu())

    def embedding(self, views: list[Float[Tensor, "n dim"]], domain: int) -> Float[Tensor, "n views_dim"]:
        """The trained rows plus ``start_weight`` times the untrained ones."""
        start = side_by_side(views, self.weights)
        return F.normalize(super().embedding(views, domain) + self.cfg.start_weight * start, dim=1)
