"""How diffusion over the graph of nearest neighbours grows with the images, beside the plain products alone.

The plain reference is what any exact search must at least compute: the float32 products of all rows with all
rows, in the same chunks, thrown away at once. Time and memory of the graph and of the diffusion are given as
ratios to it and to the embeddings. Up to ``DENSE`` images a domain the dense matrices give the same numbers.

    python benchmarks/diffusion.py [IMAGES_A_DOMAIN ...]
"""

import sys
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F

from tpsnet.evaluation import RERANKINGS
from tpsnet.neighbours import NeighbourGraph, neighbour_graph

RULE = RERANKINGS["diffusion"]
SIZES, DIM, DENSE, CHUNK = (2_000, 10_000, 40_000, 100_000), 192, 2_000, 256


def domains(n: int, rng: torch.Generator) -> list[torch.Tensor]:
    """Two domains of n unit rows round shared centres, sixteen a centre in either."""
    centres = torch.randn(n // 16, DIM, generator=rng)
    rows = (centres[torch.arange(n) % len(centres)] + torch.randn(n, DIM, generator=rng) for _ in range(2))
    return [F.normalize(z, dim=1) for z in rows]


def products(both: list[torch.Tensor]) -> None:
    """All products of all rows, and nothing done with them."""
    for z in both:
        for some in z.split(CHUNK):
            for other in both:
                some @ other.T


def dense(both: list[torch.Tensor], graph: NeighbourGraph) -> torch.Tensor:
    """The whole matrix W of a graph, from dense cosines."""
    z = torch.cat(both).double()
    cosine = (z @ z.T).fill_diagonal_(-2)
    a = torch.zeros_like(cosine)
    for columns in torch.arange(len(z)).split(graph.sizes):
        near = columns[cosine[:, columns].topk(graph.neighbours, dim=1).indices]
        a.scatter_(1, near, cosine.gather(1, near).clamp_min(0) ** graph.power)
    return (a + a.T) / 2


def timed(call: Callable[[], object]) -> tuple[object, float]:
    """What a call returns, and its seconds."""
    start = time.perf_counter()
    result = call()
    return result, time.perf_counter() - start


def main(sizes: tuple[int, ...]) -> None:
    """One line a size."""
    print(f"two domains, dimension {DIM}, {torch.get_num_threads()} threads")
    print("| images a domain | graph / products | diffusion / products | entries a row | bytes / vectors' |")
    print("| --: | --: | --: | --: | --: |")
    for n in sizes:
        both = domains(n, torch.Generator().manual_seed(0))
        _, plain = timed(lambda both=both: products(both))
        graph, made = timed(lambda both=both: neighbour_graph(both, RULE.neighbours, RULE.power))
        z = torch.cat(both)
        _, spread = timed(lambda graph=graph, z=z: graph.spread(z, RULE.share, RULE.steps))
        if n <= DENSE:
            w = dense(both, graph)
            torch.testing.assert_close(graph.degrees.double(), w.sum(dim=1), atol=1e-5, rtol=1e-5)
        held = sum(t.nbytes for t in (graph.starts, graph.columns, graph.weights, graph.degrees))
        shares = made / plain, spread / plain, len(graph.columns) / len(z), held / z.nbytes
        print(f"| {n} | " + " | ".join(f"{share:.2f}" for share in shares) + " |", flush=True)


if __name__ == "__main__":
    main(tuple(map(int, sys.argv[1:])) or SIZES)
