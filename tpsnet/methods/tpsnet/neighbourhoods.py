"""What stands in for labels while TPSNet trains: neighbours after diffusion, and clusters of the same."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from tpsnet.targets import diffused, kmeans, neighbours_in, view_reliabilities

Views = list[list[Float[Tensor, "_ dim"]]]  # by domain, then by view


class Neighbourhoods(nn.Module):
    """The frozen views of both domains, and what their diffusion says of them.

    Args:
        views: Centred vectors of both domains in each view; the first view is colour.
        clusters: Number C of clusters over both domains.
        neighbours: Number of neighbours in each domain, for the graph and as positives.
        share: Share α of the diffusion.
        seed: Seed of k-means.

    Attributes:
        views: the vectors.
        features: those of the colour view, which prompts are compared with.
        weights: how much each view counts; they sum to one.
        near: neighbours of every image, by its domain and then by theirs.
        labels0: clusters of the first domain; ``labels1`` those of the second. They share their numbers.
    """

    def __init__(self, views: Views, clusters: int, neighbours: int, share: float, seed: int) -> None:
        super().__init__()
        self.views, self.features = views, [rows[0] for rows in views]
        spread = [diffused(rows, neighbours, share) for rows in zip(*views, strict=True)]
        found = view_reliabilities(spread, neighbours)
        self.weights = found / found.sum()
        spread = diffused([side_by_side(rows, self.weights) for rows in views], neighbours, share)
        self.near = neighbours_in(spread, neighbours)
        sizes = [len(z) for z in spread]
        labels = kmeans(torch.cat(spread), clusters, seed=seed).assignment
        for d, part in enumerate(labels.split(sizes)):
            self.register_buffer(f"labels{d}", part)

    def labels(self, domain: int) -> Int[Tensor, " n"]:
        """Clusters of a domain."""
        return self.labels0 if domain == 0 else self.labels1

    def draw(
        self, index: Int[Tensor, " batch"], domain: int, other: int, rng: torch.Generator
    ) -> tuple[Int[Tensor, " batch"], Bool[Tensor, "batch batch"]]:
        """One neighbour of each image in a domain, and which of those drawn are neighbours of it too.

        Args:
            index: Images of ``domain``.
            domain: Their domain, 0 or 1.
            other: The domain of the neighbours.
            rng: Generator of the draw, on the CPU.
        """
        near = self.near[domain][other]
        near = near[index.to(near.device)]
        column = torch.randint(near.shape[1], (len(near), 1), generator=rng).to(near.device)
        drawn = near.gather(1, column)[:, 0]
        return drawn, (near[:, :, None] == drawn).any(dim=1)


def side_by_side(
    views: list[Float[Tensor, "_ dim"]], weights: Float[Tensor, " view"]
) -> Float[Tensor, "_ views_dim"]:
    """Vectors of several views as one L2-normalised row, whose cosine is the views' weighted mean.

    Args:
        views: L2-normalised rows of each view.
        weights: Weight of each view; they sum to one.
    """
    return torch.cat([z * w.sqrt() for z, w in zip(views, weights, strict=True)], dim=1)
