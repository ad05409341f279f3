r"""The unified prototypical structure: the other domain's prototypes, moved over and merged where they match.

.. math:: p_c^{B\to A} = p_c^B + (\bar m^A - \bar m^B)

.. math:: \lVert p_{c'}^{B\to A} - p_c^A\rVert < \min\Bigl(\min_{i\ne j}\lVert p_i^A - p_j^A\rVert,\;
          \min_{i\ne j}\lVert p_i^B - p_j^B\rVert\Bigr)

A one-to-one assignment (Hungarian, Euclidean cost) proposes pairs; those that meet the second line become one
prototype, the mean of both.

Source: UEM (NeurIPS 2024, arXiv:2403.05690), eqs. 8 and 9. Ours differs: the result carries integers that say
which row a cluster went to, so that nobody has to compare prototypes as floats; with one cluster in a domain
its minimum runs over nothing and asks for nothing.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from tpsnet.types import InputError


@dataclass(frozen=True, eq=False)
class Unified:
    """Prototypes of both domains in the space of one of them.

    Attributes:
        prototypes: the domain's own clusters in their order (merged ones as means), then those of the other
            domain that found no partner, translated, in their order.
        own: row of each cluster of the domain itself; always 0, 1, 2, …
        other: row of each cluster of the other domain.
        merged: whether a row stands for one cluster of each domain.
    """

    prototypes: Float[Tensor, "row dim"]
    own: Int[Tensor, " a"]
    other: Int[Tensor, " b"]
    merged: Bool[Tensor, " row"]


def translate(
    prototypes: Float[Tensor, "c dim"], start: Float[Tensor, "n dim"], goal: Float[Tensor, "m dim"]
) -> Float[Tensor, "c dim"]:
    """Eq. 8: prototypes moved by the difference between the means of two memories.

    Args:
        prototypes: of the domain that ``start`` holds.
        start: memory rows of their own domain.
        goal: memory rows of the domain they move to.
    """
    return prototypes + (goal.mean(dim=0) - start.mean(dim=0))


def matches(
    own: Float[Tensor, "a dim"], moved: Float[Tensor, "b dim"]
) -> tuple[Int[Tensor, " pair"], Int[Tensor, " pair"]]:
    """Pairs of prototypes that merge: assigned to one another, and nearer than any two of one domain.

    Args:
        own: prototypes of a domain.
        moved: translated prototypes of the other; a translation leaves their distances as they were.

    Returns:
        Cluster numbers in ``own``, rising, and their partners in ``moved``.

    Raises:
        InputError: a prototype is not finite.
    """
    if not bool(own.isfinite().all() and moved.isfinite().all()):
        raise InputError("prototypes to merge hold NaN or infinity; look at the embeddings they come from")
    cost = torch.cdist(own.double(), moved.double(), compute_mode="donot_use_mm_for_euclid_dist")
    a, b = (torch.as_tensor(i, device=own.device) for i in linear_sum_assignment(cost.cpu().numpy()))
    near = cost[a, b] < min(_closest(own), _closest(moved))
    return a[near], b[near]


def unify(own: Float[Tensor, "a dim"], moved: Float[Tensor, "b dim"], *, merge: bool = True) -> Unified:
    """The unified set of one domain.

    Args:
        own: prototypes of a domain.
        moved: those of the other, translated.
        merge: without it every prototype stays by itself (UEM's ablation "without prototype merging").
    """
    a, b = matches(own, moved) if merge else (torch.empty(0, dtype=torch.long, device=own.device),) * 2
    prototypes = own.clone()
    prototypes[a] = (own[a] + moved[b]) / 2
    alone = torch.ones(len(moved), dtype=torch.bool, device=own.device)
    alone[b] = False
    rows = torch.cat([prototypes, moved[alone]])
    other = torch.empty(len(moved), dtype=torch.long, device=own.device)
    other[b] = a
    other[alone] = torch.arange(len(own), len(rows), device=own.device)
    merged = torch.zeros(len(rows), dtype=torch.bool, device=own.device)
    merged[a] = True
    return Unified(rows, torch.arange(len(own), device=own.device), other, merged)


def _closest(prototypes: Float[Tensor, "c dim"]) -> float:
    """Smallest distance between two rows; infinite when there is one row."""
    if len(prototypes) < 2:
        return float("inf")
    return float(torch.pdist(prototypes.double()).min())
