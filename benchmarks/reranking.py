"""Re-ranking against plain dense matrices, and how diffusion grows with the images.

The dense way holds all cosines, and for diffusion the whole matrix S, which each step multiplies with. It
gives the same embeddings. For many images the reference is what any exact search must at least compute: the
float32 products of all rows with all rows, in the same chunks, thrown away at once; time and memory of the
graph and of the diffusion are ratios to it and to the embeddings.

    python -m benchmarks.reranking [--sizes 2000 10000 40000 100000]
"""

import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
import tyro

from tools.timing import fastest, machine, table
from tpsnet.evaluation import RERANKINGS
from tpsnet.neighbours import neighbour_graph

RULE, EXPANSION = RERANKINGS["diffusion"], RERANKINGS["expansion"]
DIM, DENSE, CHUNK = 192, 2_000, 256


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


def dense_diffusion(both: list[torch.Tensor]) -> torch.Tensor:
    """The embeddings spread along the whole matrix S, from the cosines of all rows."""
    z = torch.cat(both)
    cosine = (z @ z.T).fill_diagonal_(-2)
    a = torch.zeros_like(cosine)
    for columns in torch.arange(len(z)).split([len(x) for x in both]):
        near = columns[cosine[:, columns].topk(RULE.neighbours, dim=1).indices]
        a.scatter_(1, near, cosine.gather(1, near).clamp_min(0) ** RULE.power)
    w = (a + a.T) / 2
    scale = w.sum(dim=1).rsqrt()
    s, y = scale[:, None] * w * scale, z
    for _ in range(RULE.steps):
        y = RULE.share * (s @ y) + (1 - RULE.share) * z
    return F.normalize(y, dim=1)


def dense_expansion(both: list[torch.Tensor]) -> torch.Tensor:
    """Each row as the weighted mean of its nearest ones, row after row, from a sort of all cosines."""
    z, total = torch.cat(both), 0
    for other in both:
        cosine = z @ other.T
        near = cosine.argsort(dim=1, descending=True)[:, : EXPANSION.neighbours]
        parts = [(cosine[i, own].clamp_min(0) ** EXPANSION.power) @ other[own] for i, own in enumerate(near)]
        total = total + F.normalize(torch.stack(parts), dim=1)
    return F.normalize(total, dim=1)


def against_dense(n: int, rounds: int) -> None:
    """Time both rules and both ways; they must give the same embeddings."""
    both, rows = domains(n, torch.Generator().manual_seed(0)), []
    none = both[0][:0]
    for name, dense in (("diffusion", dense_diffusion), ("expansion", dense_expansion)):
        ways = {
            "dense": lambda dense=dense: dense(both),
            "ours": lambda name=name: torch.cat(RERANKINGS[name](none, both)[1]),
        }
        torch.testing.assert_close(ways["ours"](), ways["dense"](), atol=1e-4, rtol=1e-4)
        taken = fastest(ways, rounds)
        rows.append([name, n, taken["dense"], taken["ours"], taken["dense"] / taken["ours"]])
    table(["re-ranking", "images a domain", "dense, s", "ours, s", "dense / ours"], rows)


def timed(call: Callable[[], object]) -> tuple[object, float]:
    """What a call returns, and its seconds."""
    start = time.perf_counter()
    result = call()
    return result, time.perf_counter() - start


def growth(n: int) -> list[object]:
    """Graph and diffusion of one size beside the bare products."""
    both = domains(n, torch.Generator().manual_seed(0))
    _, plain = timed(lambda: products(both))
    graph, made = timed(lambda: neighbour_graph(both, RULE.neighbours, RULE.power))
    z = torch.cat(both)
    _, spread = timed(lambda: graph.spread(z, RULE.share, RULE.steps))
    held = sum(t.nbytes for t in (graph.starts, graph.columns, graph.weights, graph.degrees))
    shares = made / plain, spread / plain, len(graph.columns) / len(z), held / z.nbytes
    return [n, *(f"{share:.2f}" for share in shares)]


def main(sizes: tuple[int, ...] = (2_000, 10_000, 20_000), quick: bool = False) -> None:
    """Print both tables.

    Args:
        sizes: Images a domain of the second table.
        quick: Whether a small part is enough, to see that it runs.
    """
    print(machine("faiss-cpu"), f"two domains, dimension {DIM}\n", sep="; ")
    against_dense(160 if quick else DENSE, 1 if quick else 3)
    print()
    head = [
        "images a domain",
        "graph / products",
        "diffusion / products",
        "entries a row",
        "bytes / vectors'",
    ]
    table(head, (growth(n) for n in ((160,) if quick else sizes)))


if __name__ == "__main__":
    tyro.cli(main)
