"""What stands in for labels while TPSNet trains: neighbours after diffusion, and clusters of the same."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from tpsnet.methods.views import Views
from tpsnet.targets import diffused, kmeans, neighbours_in, return_distance, side_by_side

LEVEL = 0.8  # as in ``targets.reject_unreturned``
MOST = 256  # neighbours of an image that are known, so that memory grows with the images alone


class Neighbourhoods(nn.Module):
    """The frozen views of both domains, and what their diffusion says of them.

    How large a class is, the number of clusters tells. Its images do not compete with one another, and a
    third of them at most are positives. Across the domains only images have positives that come back to
    themselves (``targets.return_distance``): another one may have no match there.

    Args:
        views: Centred vectors of both domains in each view; the first view is colour.
        weights: How much each view counts; they sum to one.
        clusters: Number C of clusters over both domains.
        neighbours: Number of neighbours in each domain, for the graph and as positives.
        share: Share α of the diffusion.
        seed: Seed of k-means.

    Attributes:
        views: the vectors.
        features: those of the colour view, which prompts are compared with.
        neighbours: how many neighbours in each domain are positives.
        near: as many neighbours of every image as a class has images, up to ``MOST``, by its domain and then
            by theirs.
        returned: by domain, whether an image comes back to itself.
        labels0: clusters of the first domain; ``labels1`` those of the second. They share their numbers.
    """

    def __init__(
        self,
        views: Views,
        weights: Float[Tensor, " view"],
        clusters: int,
        neighbours: int,
        share: float,
        seed: int,
    ) -> None:
        super().__init__()
        self.views, self.features, self.neighbours = views, [rows[0] for rows in views], neighbours
        sizes = [len(rows[0]) for rows in views]
        whole = [side_by_side(rows, weights) for rows in views]
        self.returned = _returned(whole, neighbours)
        spread = diffused(whole, neighbours, share)
        self.near = neighbours_in(spread, min(MOST, max(neighbours, max(sizes) // clusters)))
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
        most = min(self.neighbours, near.shape[1])
        column = torch.randint(most, (len(near), 1), generator=rng).to(near.device)
        drawn = near.gather(1, column)[:, 0]
        known = torch.zeros(len(near), len(self.features[other]), dtype=torch.bool, device=near.device)
        return drawn, known.scatter_(1, near, True)[:, drawn]

    def trusted(self, index: Int[Tensor, " batch"], domain: int, other: int) -> Float[Tensor, " batch"]:
        """Weight of images as far as their neighbours in a domain are concerned: 1, or 0 where none is.

        Args:
            index: Images of ``domain``.
            domain: Their domain, 0 or 1.
            other: The domain of the neighbours.
        """
        returned = self.returned[domain]
        found = returned[index.to(returned.device)].float()
        return found if domain != other else torch.ones_like(found)


def _returned(whole: list[Float[Tensor, "_ dim"]], neighbours: int) -> list[Bool[Tensor, " _"]]:
    """Whether an image comes back no farther from itself than ``LEVEL`` of the other domain's images do."""
    ways = ((whole[0], whole[1]), (whole[1], whole[0]))
    distances = [return_distance(*way, neighbours) for way in ways]
    limits = [torch.quantile(d, LEVEL) for d in reversed(distances)]
    return [d <= limit for d, limit in zip(distances, limits, strict=True)]
