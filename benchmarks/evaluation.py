"""Evaluation: ours against the plain way of published retrieval code, on one direction of Office-Home's size.

The plain way holds the whole float64 similarity matrix, sorts all of it, and walks over queries and depths in
Python, counting the relevant gallery items anew each time. Run ``python benchmarks/evaluation.py``; both ways
must give the same numbers.
"""

import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from tpsnet.evaluation import evaluate
from tpsnet.types import Embeddings

QUERIES, GALLERY, DIM, CLASSES, KS, REPEATS = 4439, 4365, 512, 65, (1, 5, 15), 3


def plain_precision(query: Embeddings, gallery: Embeddings) -> tuple[np.ndarray, dict[int, float]]:
    """The order of the gallery for each query, and P@k in the field's convention."""
    similarity = query.vectors.double().numpy() @ gallery.vectors.double().numpy().T
    order = np.argsort(-similarity, axis=1)
    asks, has = query.labels.numpy(), gallery.labels.numpy()
    hits, asked = dict.fromkeys(KS, 0), dict.fromkeys(KS, 0)
    for q in range(len(asks)):
        for k in KS:
            top = min(k, int((has == asks[q]).sum()))
            hits[k] += int((has[order[q, :top]] == asks[q]).sum())
            asked[k] += top
    return order, {k: 100 * hits[k] / asked[k] for k in KS}


def plain_mean_ap(order: np.ndarray, query: Embeddings, gallery: Embeddings) -> float:
    """The mean over queries of the average precision over the whole gallery."""
    asks, has = query.labels.numpy(), gallery.labels.numpy()
    average = []
    for q in range(len(asks)):
        right = has[order[q]] == asks[q]
        precision = np.cumsum(right) / np.arange(1, len(has) + 1)
        average.append((precision * right).sum() / right.sum())
    return 100 * float(np.mean(average))


def noisy(domain: str, n: int, centres: torch.Tensor, rng: torch.Generator) -> Embeddings:
    """Unit rows scattered around their class's centre, classes drawn evenly."""
    labels = torch.arange(n) % len(centres)
    vectors = F.normalize(centres[labels] + 4 * torch.randn(n, centres.shape[1], generator=rng), dim=1)
    return Embeddings(domain, vectors, labels, tuple(map(str, range(len(centres)))), (Path(),) * n)


def main() -> None:
    """Time both, best of three, compare their numbers, print the ratio."""
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
    print(f"{QUERIES} × {GALLERY}, {DIM} numbers, {CLASSES} classes, {torch.get_num_threads()} threads")
    print(f"  ours, P@k twice and mAP    {mine:6.2f} s")
    print(f"  plain way, P@k             {loops:6.2f} s   {loops / mine:.1f} ×")
    print(f"  plain way, P@k and mAP     {loops + ap_loop:6.2f} s   {(loops + ap_loop) / mine:.1f} ×")
    print(f"  same numbers: P@k {precision}, mAP@All {mean_ap:.3f}")


if __name__ == "__main__":
    main()
