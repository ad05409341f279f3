"""Evaluation against the plain way of published retrieval code, and the ranking's engines against each other.

The plain way holds the whole float64 similarity matrix, sorts all of it, and walks over queries and depths in
Python, counting the relevant gallery images anew each time; this is timed on one direction of Office-Home's
size. The engines are timed beside a plain float32 product with ``topk``, which leaves ties in any order. Run
``python benchmarks/evaluation.py``; what is compared must give the same numbers.
"""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from tpsnet.evaluation import evaluate, rank
from tpsnet.types import Embeddings

QUERIES, GALLERY, DIM, CLASSES, KS, REPEATS = 4439, 4365, 512, 65, (1, 5, 15), 3
RANKED, DIMS, GALLERIES, DEPTHS = (
    (1, 16, 256),
    (192, 512),
    (1600, 5000, 10_000, 100_000),
    (1, 15, 50, 100, 1000),
)


def plain_precision(query: Embeddings, gallery: Embeddings) -> tuple[np.ndarray, dict[int, float]]:
    """The order of the gallery for each query, and P@k in the field's convention."""
    similarity = query.vectors.double().numpy() @ gallery.vectors.double().numpy().T
    order = np.argsort(-similarity, axis=1)
    wanted, has = query.labels.numpy(), gallery.labels.numpy()
    hits, possible = dict.fromkeys(KS, 0), dict.fromkeys(KS, 0)
    for q in range(len(wanted)):
        for k in KS:
            top = min(k, int((has == wanted[q]).sum()))
            hits[k] += int((has[order[q, :top]] == wanted[q]).sum())
            possible[k] += top
    return order, {k: 100 * hits[k] / possible[k] for k in KS}


def plain_mean_ap(order: np.ndarray, query: Embeddings, gallery: Embeddings) -> float:
    """The mean over queries of the average precision over the whole gallery."""
    wanted, has = query.labels.numpy(), gallery.labels.numpy()
    average = []
    for q in range(len(wanted)):
        right = has[order[q]] == wanted[q]
        precision = np.cumsum(right) / np.arange(1, len(has) + 1)
        average.append((precision * right).sum() / right.sum())
    return 100 * float(np.mean(average))


def noisy(domain: str, n: int, centres: torch.Tensor, rng: torch.Generator) -> Embeddings:
    """Unit rows scattered around their class's centre, classes drawn evenly."""
    labels = torch.arange(n) % len(centres)
    vectors = F.normalize(centres[labels] + 4 * torch.randn(n, centres.shape[1], generator=rng), dim=1)
    return Embeddings(domain, vectors, labels, tuple(map(str, range(len(centres)))), (Path(),) * n)


def compare_ways() -> None:
    """Time both ways of measuring, best of three, compare their numbers, print the ratio."""
    rng = torch.Generator().manual_seed(0)
    centres = torch.randn(CLASSES, DIM, generator=rng)
    query, gallery = noisy("query", QUERIES, centres, rng), noisy("gallery", GALLERY, centres, rng)
    times = []
    for _ in range(REPEATS):  # alternating, so that a busy machine slows both
        clock = [time.perf_counter()]
        ours = evaluate(query, gallery, KS)
        clock.append(time.perf_counter())
        order, precision = plain_precision(query, gallery)
        clock.append(time.perf_counter())
        mean_ap = plain_mean_ap(order, query, gallery)
        clock.append(time.perf_counter())
        times.append(np.diff(clock))
    assert ours.precision == precision, (ours.precision, precision)
    assert abs(ours.mean_ap - mean_ap) < 1e-6, (ours.mean_ap, mean_ap)
    mine, loops, ap_loop = np.min(times, axis=0)
    print(f"{QUERIES} × {GALLERY}, dimension {DIM}, {CLASSES} classes, {torch.get_num_threads()} threads")
    print(f"  ours, P@k twice and mAP    {mine:6.2f} s")
    print(f"  plain way, P@k             {loops:6.2f} s   {loops / mine:.1f} ×")
    print(f"  plain way, P@k and mAP     {loops + ap_loop:6.2f} s   {(loops + ap_loop) / mine:.1f} ×")
    print(f"  same numbers: P@k {precision}, mAP {mean_ap:.3f}")


def plain_ranking(query: Embeddings, gallery: Embeddings, k: int, chunk: int = 256) -> torch.Tensor:
    """The ``k`` best of each query by a float32 product, equal scores in any order."""
    parts = [(vectors @ gallery.vectors.T).topk(k).indices for vectors in query.vectors.split(chunk)]
    return torch.cat(parts)


def seconds(work: Callable[[], object]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def compare_engines() -> None:
    """Print the ratios torch / faiss and plain torch / faiss, each of the best of five."""
    rows = {"torch / faiss": [], "plain torch / faiss": []}
    for dim in DIMS:
        rng = torch.Generator().manual_seed(0)
        centres = torch.randn(CLASSES, dim, generator=rng)
        queries = noisy("query", max(RANKED), centres, rng)
        for size in GALLERIES:
            gallery = noisy("gallery", size, centres, rng)
            for n in RANKED:
                times = np.array([time_engines(queries.subset(range(n)), gallery, k) for k in DEPTHS])
                for name, column in zip(rows, (0, 2), strict=True):
                    ratios = times[:, column] / times[:, 1]
                    rows[name].append([dim, size, n, *(f"{ratio:.2f}" for ratio in ratios)])
    for name, body in rows.items():
        head = ["dimension", "gallery", "queries", *(f"k = {k}" for k in DEPTHS)]
        print(f"\n{name}, {torch.get_num_threads()} threads\n")
        for line in (head, ["--:"] * len(head), *body):
            print("| " + " | ".join(map(str, line)) + " |")


def time_engines(query: Embeddings, gallery: Embeddings, k: int) -> np.ndarray:
    """Least seconds of torch, faiss and the plain ranking, alternating; the engines must agree."""
    ours, theirs = (rank(query, gallery, k, engine) for engine in ("torch", "faiss"))
    assert ours.indices.equal(theirs.indices) and ours.scores.equal(theirs.scores)
    works = (
        lambda: rank(query, gallery, k, "torch"),
        lambda: rank(query, gallery, k, "faiss"),
        lambda: plain_ranking(query, gallery, k),
    )
    return np.min([[seconds(work) for work in works] for _ in range(5)], axis=0)


def main() -> None:
    """Both comparisons."""
    compare_ways()
    compare_engines()


if __name__ == "__main__":
    main()
