"""Neighbours after diffusion: whom an image should find, before anything is trained."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from tpsnet.neighbours import nearest, neighbour_graph

POWER, STEPS = 3.0, 20  # as in re-ranking


def diffused(
    domains: Sequence[Float[Tensor, "_ dim"]], neighbours: int, share: float
) -> list[Float[Tensor, "_ dim"]]:
    """Every row as the graph of all domains leaves it, see ``neighbours.graph``; L2-normalised.

    Args:
        domains: L2-normalised rows of each domain.
        neighbours: Number of neighbours in each domain that a row is tied to.
        share: Share α that comes from the neighbours at each step.
    """
    graph = neighbour_graph(domains, neighbours, POWER)
    y = graph.spread(torch.cat(list(domains)), share, STEPS)
    return list(F.normalize(y, dim=1).split(graph.sizes))


def neighbours_in(domains: Sequence[Float[Tensor, "_ dim"]], k: int) -> list[list[Int[Tensor, "_ k"]]]:
    """The nearest rows of each domain for every row, the row itself left out.

    Args:
        domains: L2-normalised rows of each domain.
        k: Number of neighbours in each domain; fewer where a domain has fewer.

    Returns:
        By domain of the row, then by domain of the neighbours.
    """
    return [
        [nearest(z, other, min(k, len(other) - (z is other)), itself=z is other)[0] for other in domains]
        for z in domains
    ]
