"""The paper's encoder of UEM: an image tower less the mean of both domains, and the rule of rejection."""

import copy

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from tpsnet.backbone import Backbone, MoCo, autocast, embed_all, layer_groups, lock
from tpsnet.methods.uem.memory import MemoryBanks
from tpsnet.methods.uem.unifying import Unifying
from tpsnet.methods.uem_printed.config import UEMPrintedConfig
from tpsnet.targets import Rejection, reject_unmerged
from tpsnet.types import Batch, Images


class UEMEncoder(Unifying):
    """All of UEM as printed but its stages.

    Args:
        backbone: A CLIP or a MoCo-v2 ResNet-50; a copy of it is fine-tuned.
        cfg: The config.
        seed: Seed of clusters, the classifier's weights, batches and augmentation.

    Attributes:
        offset: mean over both domains of their mean vectors before training, (dim).

    Raises:
        InputError: more layers are locked than there are.
    """

    augmented = 1

    def __init__(self, backbone: Backbone | MoCo, cfg: UEMPrintedConfig, seed: int = 0) -> None:
        super().__init__(backbone, cfg, seed)
        self.backbone = copy.deepcopy(backbone)
        lock(self.backbone.tower, cfg.layers)
        self.register_buffer("offset", torch.zeros(backbone.dim))
        self.to(self.device)

    def prepare(self, images: tuple[Images, Images]) -> None:
        """Take off the mean, fill the memory banks and count the clusters."""
        super().prepare(images)
        means = [embed_all(self.given.encode_image, x, device=self.device).mean(dim=0) for x in images]
        self.offset.copy_(torch.stack(means).mean(dim=0))
        banks = [embed_all(self, x, device=self.device).to(self.device) for x in images]
        clusters = self.first_clusters(banks)
        self.targets = MemoryBanks(banks, clusters, self.given.tower, self.cfg, self.seed)

    @property
    def trained(self) -> nn.Module:
        """The image tower."""
        return self.backbone.tower

    def groups(self) -> list[dict]:
        """See ``Unifying.groups``: each layer at its rate."""
        return layer_groups(self.backbone.tower, self.cfg.lr, self.cfg.layers)

    def encode(self, batch: Batch, weights: nn.Module | None = None) -> Float[Tensor, "batch dim"]:
        """See ``Unifying.encode``."""
        with autocast(self.device):
            return self(batch.view1, weights)

    def forward(
        self, images: Float[Tensor, "batch 3 height width"], tower: nn.Module | None = None
    ) -> Float[Tensor, "batch dim"]:
        """L2-normalised rows of RGB images in [0, 1]; ``tower`` is a copy of the image tower."""
        return F.normalize(self.backbone.encode_image(images, tower).float() - self.offset, dim=1)

    def embed(self, images: Images, domain: str | None = None) -> Float[Tensor, "n dim"]:
        """See ``Method.embed``: the trained vectors plus ``start_weight`` times the untrained ones."""
        self.domain_index(domain or images.name)
        self.eval()
        trained = embed_all(self, images, device=self.device)
        if not self.cfg.start_weight:
            return trained
        start = embed_all(lambda x: self(x, self.given.tower), images, device=self.device)
        return F.normalize(trained + self.cfg.start_weight * start, dim=1)

    def reject(
        self,
        query: Float[Tensor, "query dim"],
        gallery: Float[Tensor, "gallery dim"],
        *,
        seed: int,
    ) -> Rejection:
        """The paper's rule, see ``targets.reject_unmerged``, with as many clusters as training had.

        It merges prototypes also for a UEM that was trained without merging: else every query would be
        rejected.
        """
        merge = "local" if self.cfg.merge == "none" else self.cfg.merge
        counted = zip(self.n_clusters.tolist(), (query, gallery), strict=True)
        clusters = tuple(min(k, len(rows)) for k, rows in counted)
        return reject_unmerged(query, gallery, clusters, seed=seed, merge=merge)
