"""What both forms of UEM share: how clusters are counted, and what their stages ask of a method."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tpsnet.backbone import Backbone, MoCo
from tpsnet.methods.base import Method, check_clusters
from tpsnet.targets import elbow, elbow_grid, kmeans
from tpsnet.types import Batch, Images


class Unifying(Method):
    """A method for the stages of UEM.

    Its config has ``clusters`` and the settings of ``EnhancementStage`` and ``AlignmentStage``; its targets
    are ``MemoryBanks``.

    Args:
        backbone: A CLIP or a MoCo-v2 network.
        cfg: The method's config.
        seed: Seed of clusters, the classifier's weights, batches and augmentation.

    Attributes:
        augmented: how many augmented views of an image a batch holds.
        n_clusters: number of clusters of either domain, (2).
    """

    augmented: int

    def __init__(self, backbone: Backbone | MoCo, cfg: object, seed: int = 0) -> None:
        super().__init__(backbone, cfg, seed)
        self.register_buffer("n_clusters", torch.zeros(2, dtype=torch.long))

    @classmethod
    def check(cls, backbone: Backbone | MoCo, cfg: object, images: tuple[Images, Images]) -> None:
        """See ``Method.check``: no domain has fewer images than clusters."""
        check_clusters(cfg.clusters or 0, images)

    @property
    def trained(self) -> nn.Module:
        """All that the stages train."""
        raise NotImplementedError

    def groups(self) -> list[dict]:
        """Parameter groups of ``trained`` for the optimiser."""
        return [{"params": list(self.trained.parameters()), "lr": self.cfg.lr}]

    def encode(self, batch: Batch, weights: nn.Module | None = None) -> Float[Tensor, "batch dim"]:
        """Embeddings of a batch as L2-normalised rows.

        Args:
            batch: Training images.
            weights: A copy of ``trained`` that takes its place.
        """
        raise NotImplementedError

    def first_clusters(self, banks: Sequence[Float[Tensor, "_ dim"]]) -> list[Float[Tensor, "_ dim"]]:
        """Centres of the first clusters of both domains, as many as the config says or the elbow counts."""
        centres = []
        for bank in banks:
            k = self.cfg.clusters or elbow(bank, elbow_grid(len(bank)), seed=self.seed).k
            centres.append(kmeans(bank, k, seed=self.seed).centres)
        self.n_clusters.copy_(torch.tensor([len(c) for c in centres]))
        return centres
