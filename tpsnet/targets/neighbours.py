r"""Nearest neighbours across the domains, and the prototypes they belong to.

.. math:: \delta(u, v) = (1 - \cos(u, v)) \lVert u - v\rVert

Source: UEM (NeurIPS 2024, arXiv:2403.05690), eqs. 15 and 16. INFERRED: the neighbour is taken from the
other domain's memory bank, since encoding that domain anew at every step is out of reach.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True, eq=False)
class NearestAcross:
    """What each image of a batch is matched with in the other domain.

    Attributes:
        row: The image's own cluster, as a row of the other domain's unified prototypes.
        neighbour: The image's nearest row of the other domain's memory bank.
        agree: Whether that neighbour's nearest prototype is ``row``.
    """

    row: Int[Tensor, " batch"]
    neighbour: Int[Tensor, " batch"]
    agree: Bool[Tensor, " batch"]


def discrepancy(u: Float[Tensor, "n dim"], v: Float[Tensor, "m dim"]) -> Float[Tensor, "n m"]:
    r""":math:`\delta` of every row with every row; a zero row has cosine 0 with anything."""
    norms = u.norm(dim=1)[:, None] * v.norm(dim=1)
    cosine = u @ v.T / norms.clamp_min(1e-12)
    return (1 - cosine).clamp_min(0) * torch.cdist(u, v)


@torch.no_grad()
def nearest_across(
    z: Float[Tensor, "batch dim"],
    clusters: Float[Tensor, "a dim"],
    row_of_cluster: Int[Tensor, " a"],
    prototypes: Float[Tensor, "row dim"],
    memory: Float[Tensor, "n dim"],
) -> NearestAcross:
    """The rows that switchable matching compares; no gradient flows.

    Args:
        z: Embeddings of one domain as L2-normalised rows.
        clusters: That domain's own prototypes, before translation.
        row_of_cluster: Row of ``prototypes`` that each of ``clusters`` became.
        prototypes: The other domain's unified set.
        memory: The other domain's memory bank.
    """
    row = row_of_cluster[discrepancy(z, clusters).argmin(dim=1)]
    neighbour = discrepancy(z, memory).argmin(dim=1)
    nearest = discrepancy(memory[neighbour], prototypes).argmin(dim=1)
    return NearestAcross(row, neighbour, nearest == row)
