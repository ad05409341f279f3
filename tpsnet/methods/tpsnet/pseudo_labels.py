"""What stands in for labels while TPSNet trains: clusters, their renewal, and momentum prototypes."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from tpsnet.methods.tpsnet.config import TPSNetConfig
from tpsnet.neighbours import query_expansion
from tpsnet.targets import class_means, kmeans, momentum_update


class PseudoLabels(nn.Module):
    """Features, pseudo-labels and prototypes of both domains.

    Args:
        features: Centred CLIP vectors of both domains, averaged with those of the mirror images.
        cfg: The config of TPSNet.
        seed: Seed of k-means.

    Attributes:
        labels0: pseudo-labels of the first domain; ``labels1`` those of the second.
        prototypes: L2-normalised prototypes of both domains, (2, C, dim).
    """

    def __init__(self, features: list[Float[Tensor, "_ dim"]], cfg: TPSNetConfig, seed: int) -> None:
        super().__init__()
        self.cfg, self.features = cfg, features
        clustered = self.expanded(features)
        groups = [torch.cat(clustered)] if cfg.joint_clusters else clustered
        found = [kmeans(rows, cfg.clusters, seed=seed).assignment for rows in groups]
        for d, labels in enumerate(torch.cat(found).split([len(x) for x in features])):
            self.register_buffer(f"labels{d}", labels)
        self.register_buffer("prototypes", features[0].new_zeros(2, cfg.clusters, features[0].shape[1]))
        self.move_prototypes(features, momentum=0.0)

    def labels(self, domain: int) -> Int[Tensor, " n"]:
        """Pseudo-labels of a domain, renewed in place."""
        return self.labels0 if domain == 0 else self.labels1

    def expanded(self, rows: list[Tensor]) -> list[Tensor]:
        """Rows averaged with their neighbours in both domains, if the config asks for it."""
        return query_expansion(rows, self.cfg.neighbours) if self.cfg.neighbours else rows

    def move_prototypes(self, vectors: list[Float[Tensor, "_ dim"]], momentum: float) -> None:
        """Means of the pseudo-classes, over both domains where they share their clusters."""
        for members in [[0, 1]] if self.cfg.joint_clusters else [[0], [1]]:
            labels = torch.cat([self.labels(d) for d in members])
            means, counts = class_means(torch.cat([vectors[d] for d in members]), labels, self.cfg.clusters)
            self.prototypes[members] = momentum_update(self.prototypes[members[0]], means, counts, momentum)
