"""What stands in for labels while UEM trains: memory banks, clusters, and the unified prototypes."""

import copy

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from tpsnet.methods.uem.config import UnifyingConfig
from tpsnet.targets import Unified, kmeans, translate, unify_prototypes, update_memory_bank


class MemoryBanks(nn.Module):
    """State of a training of UEM, for both domains.

    Args:
        banks: Embeddings of all images of either domain.
        clusters: First cluster centres of either domain.
        start: What the stages train, as it is before.
        cfg: The config of UEM.
        seed: Seed of k-means and of the classifier's weights.

    Attributes:
        stage_one: the weights as stage 1 leaves them, never in training mode.
        classifier: tells the domains apart in stage 2.
        unified: unified prototypes of either domain; empty while they do not count.
        labels: cluster of every image of either domain.
        views: the vectors that the banks were made of, by domain and view, where there are any.
    """

    def __init__(
        self,
        banks: list[Float[Tensor, "_ dim"]],
        clusters: list[Float[Tensor, "_ dim"]],
        start: nn.Module,
        cfg: UnifyingConfig,
        seed: int,
    ) -> None:
        super().__init__()
        self.cfg, self.seed = cfg, seed
        dim, device = banks[0].shape[1], banks[0].device
        self.stage_one = copy.deepcopy(start).requires_grad_(False)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.classifier = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, 1)).to(device)
        for d in range(2):
            self.register_buffer(f"bank{d}", banks[d])
            self.register_buffer(f"clusters{d}", clusters[d])
        self.unified: list[Unified] = []
        self.views: list[list[Float[Tensor, "_ dim"]]] = []
        self.labels: list[Int[Tensor, " n"]] = []

    def train(self, mode: bool = True) -> "MemoryBanks":
        """The copy of stage 1 is never in training mode."""
        super().train(mode)
        self.stage_one.eval()
        return self

    def bank(self, domain: int) -> Float[Tensor, "n dim"]:
        """Memory bank of a domain, updated in place."""
        return self.bank0 if domain == 0 else self.bank1

    def clusters(self, domain: int) -> Float[Tensor, "c dim"]:
        """Cluster centres of a domain, renewed in place."""
        return self.clusters0 if domain == 0 else self.clusters1

    def prototypes(self, domain: int) -> Float[Tensor, "row dim"]:
        """L2-normalised unified prototypes of a domain."""
        return F.normalize(self.unified[domain].prototypes, dim=1)

    def update(self, seen: list[tuple[int, Tensor, Tensor]]) -> None:
        """Move the rows of both banks towards the embeddings of a step: domain, index, embeddings."""
        for domain, index, z in seen:
            update_memory_bank(self.bank(domain), index.to(z.device), z, self.cfg.memory_momentum)

    def renew_prototypes(self) -> float:
        """Clusters go on from the last ones; each domain's unified set follows; integers name the rows.

        Returns:
            The share of the fewer clusters that merged.
        """
        self.labels = []
        for d in range(2):
            clusters = self.clusters(d)
            found = kmeans(self.bank(d), len(clusters), seed=self.seed, init=clusters)
            clusters.copy_(found.centres)
            self.labels.append(found.assignment)
        self.unified = []
        for d in range(2):
            moved = translate(self.clusters(1 - d), self.bank(1 - d), self.bank(d))
            self.unified.append(unify_prototypes(self.clusters(d), moved, self.cfg.merge))
        return float(self.unified[0].merged.sum()) / min(len(self.clusters0), len(self.clusters1))
