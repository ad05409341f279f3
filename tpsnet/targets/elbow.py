r"""The number of clusters by the elbow of the k-means cost.

The curve of inertia over k is scaled to the unit square; the elbow is the k farthest below the chord between
its ends: :math:`\max_k\,(1 - x_k) - y_k`.

Source: UEM (NeurIPS 2024, arXiv:2403.05690) names "the elbow method"; rule and grid are INFERRED (the rule
is that of Kneedle, Satopää et al. 2011, without smoothing).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from tpsnet.errors import InputError
from tpsnet.targets.kmeans import kmeans


@dataclass(frozen=True)
class Elbow:
    """The curve, for a plot, and its elbow.

    Attributes:
        ks: Numbers of clusters that were tried, rising.
        inertia: K-means cost at each number.
        k: Chosen number of clusters.
    """

    ks: tuple[int, ...]
    inertia: tuple[float, ...]
    k: int


def elbow_grid(rows: int, points: int = 20, largest: int = 1000) -> tuple[int, ...]:
    """Numbers of clusters from 2 to a quarter of the rows, in equal ratios; 1 for a single row.

    INFERRED. The longer the grid, the larger the elbow: a quarter was taken because on the embedded
    domains, cut to 10, 24, 50 and 100 classes, it comes nearest to their number.

    Args:
        rows: Number of rows to cluster.
        points: How many numbers to try.
        largest: Upper limit of the numbers; clustering takes time in proportion. A lower one, as any shorter
            grid, also counts fewer clusters.
    """
    top = max(2, min(rows // 4, largest))
    spaced = {round(2 * (top / 2) ** (i / (points - 1))) for i in range(points)}
    return tuple(k for k in sorted(spaced) if k <= rows) or (1,)


def elbow(x: Float[Tensor, "n dim"], ks: tuple[int, ...], *, seed: int) -> Elbow:
    """Cluster for every k of the grid and find the elbow.

    Args:
        x: Rows to cluster.
        ks: The grid, e.g. ``elbow_grid(len(x))``; values above the number of rows are left out.
        seed: Seed of k-means; the same seed gives the same elbow.

    Returns:
        The curve and its elbow; a flat curve, or one of fewer than three points, gives the smallest k.

    Raises:
        InputError: No value of the grid fits the rows.
    """
    fitting = tuple(k for k in sorted(set(ks)) if 1 <= k <= len(x))
    if not fitting:
        raise InputError(f"elbow: none of k = {ks} fits {len(x)} rows; give values from 1 to {len(x)}")
    inertia = tuple(kmeans(x, k, seed=seed, restarts=1).inertia for k in fitting)
    return Elbow(fitting, inertia, knee(fitting, inertia))


def knee(ks: tuple[int, ...], inertia: tuple[float, ...]) -> int:
    """The k whose point lies farthest below the chord; among equally far ones the smallest wins."""
    x, y = torch.tensor(ks, dtype=torch.float64), torch.tensor(inertia, dtype=torch.float64)
    drop = y[0] - y[-1]
    if len(ks) < 3 or drop <= 0:
        return ks[0]
    below = 1 - (x - x[0]) / (x[-1] - x[0]) - (y - y[-1]) / drop
    return ks[int(below.argmax())]
