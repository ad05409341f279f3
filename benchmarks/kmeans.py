"""K-means: ours against scikit-learn's, same rows, same restarts, in one run.

python benchmarks/kmeans.py [threads]
"""

import sys
import time
import warnings
from collections.abc import Callable

import torch
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from tpsnet.targets import kmeans

N, DIM, K, RESTARTS, ROUNDS = 5_000, 512, 65, 5, 6


def clustered(rng: torch.Generator, spread: float) -> torch.Tensor:
    """Unit rows round ``K`` directions, as CLIP features are; the spread blurs the clusters."""
    directions = torch.nn.functional.normalize(torch.randn(K, DIM, generator=rng), dim=1)
    rows = directions[torch.randint(K, (N,), generator=rng)]
    return torch.nn.functional.normalize(rows + spread * torch.randn(N, DIM, generator=rng) / DIM**0.5, dim=1)


def fastest(run: Callable[[int], float]) -> tuple[float, float]:
    """Seconds of the fastest round and inertia, the mean of all rounds."""
    seconds, inertia = [], []
    for seed in range(ROUNDS):
        start = time.perf_counter()
        inertia.append(run(seed))
        seconds.append(time.perf_counter() - start)
    return min(seconds), sum(inertia) / ROUNDS


def main(threads: int) -> None:
    """Print one row a data set."""
    torch.set_num_threads(threads)
    print(f"{N}×{DIM}, k={K}, {RESTARTS} restarts, {threads} thread(s), fastest of {ROUNDS}")
    print(f"{'spread':>6} {'ours s':>8} {'sklearn s':>10} {'sklearn/ours':>13} {'inertia ours/sklearn':>21}")
    for spread in (0.5, 1.0, 2.0):
        x = clustered(torch.Generator().manual_seed(0), spread)
        rows = x.numpy()

        def theirs(seed: int, rows=rows) -> float:
            return float(KMeans(K, n_init=RESTARTS, max_iter=100, random_state=seed).fit(rows).inertia_)

        with threadpool_limits(threads), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            ours_s, ours_i = fastest(lambda seed, x=x: kmeans(x, K, seed=seed, restarts=RESTARTS).inertia)
            sk_s, sk_i = fastest(theirs)
        print(f"{spread:6} {ours_s:8.2f} {sk_s:10.2f} {sk_s / ours_s:13.2f} {ours_i / sk_i:21.4f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else torch.get_num_threads())
