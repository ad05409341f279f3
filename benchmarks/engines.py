"""Which engine ranks quicker: torch and faiss against each other and against a plain ranking.

The plain one is a float32 product with ``topk``, which leaves ties in any order. Run
``python -m benchmarks.engines``, with ``--full`` for every size; both engines must give the same ranking.
"""

import torch
import tyro

from tools.timing import clustered, fastest, machine, table
from tpsnet.evaluation import rank
from tpsnet.types import Embeddings

CLASSES, RANKED, DIMS = 65, (1, 16, 256), (192, 512)
SIZES, DEPTHS = (1600, 5000, 10_000, 100_000), (1, 15, 50, 100, 1000)


def plain_ranking(query: Embeddings, gallery: Embeddings, k: int, chunk: int = 256) -> torch.Tensor:
    """The ``k`` best of each query by a float32 product, equal scores in any order."""
    parts = [(vectors @ gallery.vectors.T).topk(k).indices for vectors in query.vectors.split(chunk)]
    return torch.cat(parts)


def times(query: Embeddings, gallery: Embeddings, k: int, rounds: int) -> dict[str, float]:
    """Least seconds of torch, faiss and the plain ranking; the engines must agree."""
    ours, theirs = (rank(query, gallery, k, engine) for engine in ("torch", "faiss"))
    assert ours.indices.equal(theirs.indices) and ours.scores.equal(theirs.scores)
    ways = {
        "torch": lambda: rank(query, gallery, k, "torch"),
        "faiss": lambda: rank(query, gallery, k, "faiss"),
        "plain torch": lambda: plain_ranking(query, gallery, k),
    }
    return fastest(ways, rounds)


def main(quick: bool = False, full: bool = False) -> None:
    """Print the ratios torch / faiss and plain torch / faiss.

    Args:
        quick: Whether a small part is enough, to see that it runs.
        full: Whether all sizes and depths are timed, each five times; that takes some minutes.
    """
    dims, depths, rounds = (DIMS, DEPTHS, 5) if full else ((512,), (1, 15, 100), 3)
    sizes, ranked = (SIZES, RANKED) if full else ((1600, 10_000, 50_000), RANKED)
    if quick:
        sizes, ranked, rounds = (500,), (16,), 1
    print(machine("faiss-cpu"), "\n")
    found = []
    for dim in dims:
        queries = clustered("query", max(ranked), CLASSES, dim, 1)
        for size in sizes:
            gallery = clustered("gallery", size, CLASSES, dim, 2)
            for n in ranked:
                some = queries.subset(range(n))
                found.append(([dim, size, n], [times(some, gallery, k, rounds) for k in depths]))
    for name in ("torch", "plain torch"):
        print(f"{name} / faiss\n")
        rows = [[*key, *(f"{t[name] / t['faiss']:.2f}" for t in taken)] for key, taken in found]
        table(["dimension", "gallery", "queries", *(f"k = {k}" for k in depths)], rows)
        print()


if __name__ == "__main__":
    tyro.cli(main)
