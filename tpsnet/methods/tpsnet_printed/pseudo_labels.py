"""What stands in for labels while TPSNet as printed trains: clusters, their renewal, momentum prototypes."""

from jaxtyping import Float, Int
from torch import Tensor, nn

from tpsnet.targets import class_means, kmeans, momentum_update


class PseudoLabels(nn.Module):
    """Features, pseudo-labels and prototypes of both domains, each domain by itself.

    Args:
        features: Centred CLIP vectors of both domains.
        clusters: Number C of clusters of each domain.
        seed: Seed of k-means.

    Attributes:
        labels0: pseudo-labels of the first domain; ``labels1`` those of the second.
        prototypes: L2-normalised prototypes of both domains, (2, C, dim).
    """

    def __init__(self, features: list[Float[Tensor, "_ dim"]], clusters: int, seed: int) -> None:
        super().__init__()
        self.features = features
        for d, rows in enumerate(features):
            self.register_buffer(f"labels{d}", kmeans(rows, clusters, seed=seed).assignment)
        self.register_buffer("prototypes", features[0].new_zeros(2, clusters, features[0].shape[1]))
        self.move_prototypes(features, momentum=0.0)

    def labels(self, domain: int) -> Int[Tensor, " n"]:
        """Pseudo-labels of a domain, renewed in place."""
        return self.labels0 if domain == 0 else self.labels1

    def move_prototypes(self, vectors: list[Float[Tensor, "_ dim"]], momentum: float) -> None:
        """Towards the means of the pseudo-classes."""
        for d, rows in enumerate(vectors):
            means, counts = class_means(rows, self.labels(d), self.prototypes.shape[1])
            self.prototypes[d] = momentum_update(self.prototypes[d], means, counts, momentum)
