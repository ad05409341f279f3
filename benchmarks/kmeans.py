"""K-means: ours against scikit-learn's and faiss's, same rows, same restarts, and inertias beside the times.

Faiss runs a number of steps that is set before, scikit-learn and ours until the centres stand still. So faiss
gets the least of 25 (its default), 50, 100 and 200 steps whose inertia is within a thousandth of ours, and 25
where none is. As it starts from random rows and the others from k-means++, ours is also timed with a single
restart against faiss's five. Faiss takes all rows here, not a sample. Run ``python -m benchmarks.kmeans``.
"""

import warnings
from collections.abc import Callable

import faiss
import numpy as np
import torch
import tyro
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from tools.timing import fastest, machine, table
from tpsnet.targets import kmeans

N, DIM, K, RESTARTS, STEPS = 5_000, 512, 65, 5, (25, 50, 100, 200)


def clustered(n: int, spread: float) -> torch.Tensor:
    """Unit rows round ``K`` directions, as CLIP features are; the spread blurs the clusters."""
    rng = torch.Generator().manual_seed(0)
    directions = torch.nn.functional.normalize(torch.randn(K, DIM, generator=rng), dim=1)
    rows = directions[torch.randint(K, (n,), generator=rng)]
    return torch.nn.functional.normalize(rows + spread * torch.randn(n, DIM, generator=rng) / DIM**0.5, dim=1)


def by_faiss(rows: np.ndarray, steps: int, seed: int) -> float:
    """Inertia of faiss's clustering."""
    most = len(rows)
    found = faiss.Kmeans(
        DIM,
        K,
        niter=steps,
        nredo=RESTARTS,
        seed=seed,
        min_points_per_centroid=1,
        max_points_per_centroid=most,
    )
    found.train(rows)
    return float(found.index.search(rows, 1)[0].sum())


def by_sklearn(rows: np.ndarray, seed: int) -> float:
    """Inertia of scikit-learn's clustering."""
    return float(KMeans(K, n_init=RESTARTS, max_iter=100, random_state=seed).fit(rows).inertia_)


def seeded(way: Callable[[int], float], kept: list[float]) -> Callable[[], None]:
    """The way with a new seed at each call; its inertias are kept."""
    return lambda: kept.append(way(len(kept)))


def main(quick: bool = False) -> None:
    """Print one row a data set and way; inertias are means over the rounds.

    Args:
        quick: Whether a small part is enough, to see that it runs.
    """
    print(machine("scikit-learn", "faiss-cpu"), f"{RESTARTS} restarts\n", sep="; ")
    lines, n = [], 400 if quick else N
    for spread in (1.0,) if quick else (0.5, 1.0, 2.0):
        x = clustered(n, spread)
        rows, target = x.numpy(), kmeans(x, K, seed=0, restarts=RESTARTS).inertia
        steps = next((s for s in STEPS if by_faiss(rows, s, 0) <= 1.001 * target), STEPS[0])
        ways = {
            "ours": lambda seed, x=x: kmeans(x, K, seed=seed, restarts=RESTARTS).inertia,
            "ours once": lambda seed, x=x: kmeans(x, K, seed=seed, restarts=1).inertia,
            "scikit-learn": lambda seed, rows=rows: by_sklearn(rows, seed),
            "faiss": lambda seed, rows=rows, steps=steps: by_faiss(rows, steps, seed),
        }
        inertia = {name: [] for name in ways}
        with threadpool_limits(torch.get_num_threads()), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            rounds = 1 if quick else 3
            taken = fastest({name: seeded(way, inertia[name]) for name, way in ways.items()}, rounds)
        for name in ways:
            title = f"faiss, {steps} steps" if name == "faiss" else name
            ratios = taken[name] / taken["ours"], f"{sum(inertia[name]) / sum(inertia['ours']):.4f}"
            lines.append([f"spread {spread:g}: {title}", taken[name], *ratios])
    table([f"{n} × {DIM}, k = {K}", "s", "time / ours", "inertia / ours"], lines)


if __name__ == "__main__":
    tyro.cli(main)
