r"""The unified prototypical structure: the other domain's prototypes, moved over and merged where they match.

.. math:: p_c^{B\to A} = p_c^B + (\bar m^A - \bar m^B)

.. math:: \lVert p_{c'}^{B\to A} - p_c^A\rVert < \min\Bigl(\min_{i\ne j}\lVert p_i^A - p_j^A\rVert,\;
          \min_{i\ne j}\lVert p_i^B - p_j^B\rVert\Bigr)

A one-to-one assignment (Hungarian, Euclidean cost) proposes pairs; those that meet the second line become one
prototype, the mean of both.

Source: UEM (NeurIPS 2024, arXiv:2403.05690), eqs. 8 and 9. Ours differs:

- by default a pair is held to its own surroundings (``"local"``): it merges if its two prototypes are nearer
  to one another than either is to the next one of its own domain. In eq. 9 as printed (``"global"``) a single
  class that k-means has cut in two sets the limit for all pairs, and hardly any of many clusters merge;
- the result carries integers that say which row a cluster went to, so that prototypes are never compared as
  floats;
- with one cluster in a domain its minimum runs over nothing and sets no limit.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from tpsnet.errors import InputError

Merge = Literal["local", "global", "none"]


@dataclass(frozen=True, eq=False)
class Unified:
    """Prototypes of both domains in the space of one of them.

    Attributes:
        prototypes: The domain's own clusters in their order (merged ones as means), so that row c is its
            cluster c; then those of the other domain that found no partner, translated, in their order.
        other: Row of ``prototypes`` for each cluster of the other domain.
        merged: Whether a row stands for one cluster of each domain.
    """

    prototypes: Float[Tensor, "row dim"]
    other: Int[Tensor, " b"]
    merged: Bool[Tensor, " row"]


def translate(
    prototypes: Float[Tensor, "c dim"], start: Float[Tensor, "n dim"], goal: Float[Tensor, "m dim"]
) -> Float[Tensor, "c dim"]:
    """Move prototypes by the difference between the means of two memory banks (eq. 8).

    Args:
        prototypes: Prototypes of the domain that ``start`` holds.
        start: Rows of their own domain's memory bank.
        goal: Rows of the memory bank of the domain that they move to.
    """
    return prototypes + (goal.mean(dim=0) - start.mean(dim=0))


def merge_pairs(
    own: Float[Tensor, "a dim"], moved: Float[Tensor, "b dim"], merge: Merge = "local"
) -> tuple[Int[Tensor, " pair"], Int[Tensor, " pair"]]:
    """Pairs of prototypes that merge: assigned to one another, and nearer than prototypes of one domain are.

    Args:
        own: Prototypes of a domain.
        moved: Translated prototypes of the other domain; a translation leaves their distances as they were.
        merge: Which pairs merge. ``"local"`` takes those nearer than either is to any other of its domain,
            ``"global"`` those nearer than any two of one domain (eq. 9), ``"none"`` takes no pair.

    Returns:
        Cluster numbers in ``own``, rising, and their partners in ``moved``.

    Raises:
        InputError: A prototype is not finite.
    """
    if not bool(own.isfinite().all() and moved.isfinite().all()):
        raise InputError("prototypes to merge hold NaN or infinity; look at the embeddings they come from")
    cost = torch.cdist(own.double(), moved.double(), compute_mode="donot_use_mm_for_euclid_dist")
    a, b = (torch.as_tensor(i, device=own.device) for i in linear_sum_assignment(cost.cpu().numpy()))
    gaps = _gap(own), _gap(moved)
    limit = {
        "local": torch.minimum(gaps[0][a], gaps[1][b]),
        "global": torch.cat(gaps).min().expand(len(a)),
        "none": cost.new_zeros(len(a)),
    }[merge]
    near = cost[a, b] < limit
    return a[near], b[near]


def unify_prototypes(
    own: Float[Tensor, "a dim"], moved: Float[Tensor, "b dim"], merge: Merge = "local"
) -> Unified:
    """Make the unified set of one domain.

    Args:
        own: Prototypes of a domain.
        moved: Translated prototypes of the other domain.
        merge: Which pairs merge, see ``merge_pairs``; ``"none"`` is UEM's ablation "without prototype
            merging".
    """
    a, b = merge_pairs(own, moved, merge)
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
    return Unified(rows, other, merged)


def _gap(prototypes: Float[Tensor, "c dim"]) -> Float[Tensor, " c"]:
    """Distance of every row to the nearest one elsewhere; infinite for a single row.

    Rows in the same place are one: k-means puts clusters there that it has no images for.
    """
    rows = prototypes.double()
    apart = torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist")
    return apart.masked_fill(apart == 0, torch.inf).amin(dim=1)
