"""K-means on the tensor's own device."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor

from tpsnet.errors import InputError
from tpsnet.targets.prototypes import class_sums

TOLERANCE = 1e-4  # of the mean variance of a column, as in scikit-learn


@dataclass(frozen=True, eq=False)
class KMeans:
    """A clustering.

    Attributes:
        centres: Mean of each cluster's rows.
        assignment: Nearest centre of each row.
        inertia: Sum of the squared distances from the rows to their centres.
    """

    centres: Float[Tensor, "k dim"]
    assignment: Int[Tensor, " n"]
    inertia: float


def kmeans(
    x: Float[Tensor, "n dim"],
    k: int,
    *,
    seed: int,
    restarts: int = 5,
    iterations: int = 100,
    init: Float[Tensor, "k dim"] | None = None,
) -> KMeans:
    """Lloyd's algorithm from greedy k-means++ seeds; the best of several restarts.

    A restart ends when no row changes its cluster or the centres stand still (tolerance as in
    scikit-learn). An empty cluster moves to the row farthest from its centre. With fewer than
    ``k`` different rows some clusters stay empty, and their centres lie on a row of the data.

    Source: Lloyd 1982; Arthur and Vassilvitskii, SODA 2007. Ours differs: rows are centred first, so
    that distances by matrix product keep their digits in float32; all restarts are seeded together.

    Args:
        x: Rows to cluster; the computation runs in float32.
        k: Number of clusters, from 1 to n.
        seed: Seed of the starting centres; the same seed gives the same clustering on the same device.
        restarts: How often to start afresh.
        iterations: Largest number of steps in a restart.
        init: Centres to start from instead (a warm start); there is then one run.

    Raises:
        InputError: ``k`` is outside 1 to n, ``restarts`` is below 1, the rows or ``init`` hold NaN or
            infinity, or ``init`` has another shape.
    """
    _check(x, k, restarts, init)
    rows = x.detach().float()
    shift = rows.mean(dim=0)
    rows = rows - shift
    if init is None:
        starts = rows[_seeds(rows, k, restarts, torch.Generator().manual_seed(seed))]
    else:
        starts = (init.detach().to(rows) - shift)[None]
    best = min((_lloyd(rows, start, iterations) for start in starts), key=lambda run: run.inertia)
    return KMeans((best.centres + shift).to(x.dtype), best.assignment, best.inertia)


def _check(x: Tensor, k: int, restarts: int, init: Tensor | None) -> None:
    if not 1 <= k <= len(x):
        raise InputError(f"k-means: k is {k}, but must be 1 to the {len(x)} rows")
    if restarts < 1:
        raise InputError(f"k-means: restarts is {restarts}; give at least 1")
    for name, values in (("rows", x), ("init", init)):
        if values is not None and not bool(values.isfinite().all()):
            raise InputError(f"k-means: the {name} contain NaN or infinity; look where they come from")
    if init is not None and init.shape != (k, x.shape[1]):
        raise InputError(f"k-means: init is {tuple(init.shape)}, but must be {(k, x.shape[1])}")


def _lloyd(x: Tensor, centres: Tensor, iterations: int) -> KMeans:
    """One run; the assignment it returns is always the nearest of the centres it returns."""
    enough = TOLERANCE * float(x.var(dim=0, correction=0).mean())
    assignment = _nearest(x, centres)
    for _ in range(iterations):
        moved = _means(x, assignment, len(centres))
        stands = float((moved - centres).square().sum()) <= enough
        centres, before = moved, assignment
        assignment = _nearest(x, centres)
        if stands or torch.equal(assignment, before):
            break
    inertia = (x - centres[assignment]).square().sum(dtype=torch.float64)
    return KMeans(centres, assignment, float(inertia))


def _nearest(x: Tensor, centres: Tensor) -> Tensor:
    """Index of each row's nearest centre; ‖x‖² is the same for all of them and left out."""
    return torch.addmm(centres.square().sum(dim=1), x, centres.T, alpha=-2).argmin(dim=1)


def _means(x: Tensor, assignment: Tensor, k: int) -> Tensor:
    """Cluster means; the empty clusters are put on the rows farthest from theirs."""
    sums, counts = class_sums(x, assignment, k)
    centres = sums / counts.clamp_min(1)[:, None]
    empty = (counts == 0).nonzero()[:, 0]
    if len(empty):
        distance = (x - centres[assignment]).square().sum(dim=1)
        centres[empty] = x[distance.topk(len(empty)).indices]
    return centres


def _seeds(x: Tensor, k: int, restarts: int, generator: Generator) -> Tensor:
    """Row numbers of greedy k-means++ seeds, ``[restarts, k]``.

    Each new seed is the best of a few candidates drawn with probability ∝ squared distance. The
    restarts share one matrix product a step. Probabilities are summed as integers, because a GPU sums
    those in any order alike.
    """
    n, trials = len(x), 2 + int(math.log(k))
    u = torch.rand(k, restarts, trials, generator=generator, dtype=torch.float64).to(x.device)
    norms, run = x.square().sum(dim=1), torch.arange(restarts, device=x.device)

    def distances(index: Tensor) -> Tensor:
        """Squared distance of every row to the rows ``index``, one row of the result for each."""
        return (norms[index][:, None] + norms - 2 * x[index] @ x.T).clamp_min(0)

    picked = [(u[0, :, 0] * n).long()]
    closest = distances(picked[0])
    for step in range(1, k):
        share = closest / closest.amax(dim=1, keepdim=True).clamp_min(1e-30)
        mass = (share * 2**30).long().cumsum(dim=1)
        target = (u[step] * mass[:, -1:]).long()
        candidates = torch.searchsorted(mass, target, right=True).clamp_max(n - 1)
        closer = distances(candidates.flatten()).view(restarts, trials, n).minimum(closest[:, None])
        best = closer.sum(dim=2).argmin(dim=1)
        closest = closer[run, best]
        picked.append(candidates[run, best])
    return torch.stack(picked, dim=1)
