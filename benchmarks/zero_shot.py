"""The zero-shot metrics: ours against a loop over queries, as the code published for SAKE and AMA runs it.

Per query the loop sorts the gallery, walks over the precision-recall curve from its end to take the envelope,
and counts hits. Run ``python benchmarks/zero_shot.py``; both ways must give the same numbers, but
for the order of equal scores.
"""

import time

import numpy as np
import torch
from evaluation import noisy

from tpsnet.evaluation import evaluate_zero_shot
from tpsnet.types import Embeddings

QUERIES, GALLERY, DIM, CLASSES, KS, REPEATS = 2000, 10000, 512, 25, (100, 200), 3


def envelope_area(right: np.ndarray, total: int) -> float:
    """Pascal VOC's area under the curve, rank by rank."""
    hits = np.cumsum(right)
    recall = np.concatenate([[0.0], hits / total, [1.0]])
    precision = np.concatenate([[0.0], hits / np.arange(1, len(right) + 1), [0.0]])
    for i in range(len(precision) - 1, 0, -1):
        precision[i - 1] = max(precision[i - 1], precision[i])
    steps = np.flatnonzero(recall[1:] != recall[:-1])
    return float(((recall[steps + 1] - recall[steps]) * precision[steps + 1]).sum())


def loop(query: Embeddings, gallery: Embeddings) -> dict[str, float]:
    """Interpolated mAP, the same at k, and plain P@k in the definition ``voc_minR``, by name, in percent."""
    similarity = query.vectors.double().numpy() @ gallery.vectors.double().numpy().T
    wanted, has = query.labels.numpy(), gallery.labels.numpy()
    found: dict[str, list[float]] = {}
    for q in range(len(wanted)):
        right = has[np.argsort(-similarity[q])] == wanted[q]
        total = int(right.sum())
        found.setdefault("interpolated mAP", []).append(envelope_area(right, total))
        for k in KS:
            found.setdefault(f"interpolated mAP@{k}", []).append(envelope_area(right[:k], min(k, total)))
            found.setdefault(f"plain P@{k}", []).append(right[:k].mean())
    return {name: 100 * float(np.mean(values)) for name, values in found.items()}


def main() -> None:
    """Time both, best of three, compare their numbers, print the ratio."""
    rng = torch.Generator().manual_seed(0)
    centres = torch.randn(CLASSES, DIM, generator=rng)
    query, gallery = noisy("query", QUERIES, centres, rng), noisy("gallery", GALLERY, centres, rng)
    times = []
    for _ in range(REPEATS):  # alternating, so that a busy machine slows both
        clock = [time.perf_counter()]
        ours = evaluate_zero_shot(query, gallery, KS)
        clock.append(time.perf_counter())
        slow = loop(query, gallery)
        clock.append(time.perf_counter())
        times.append(np.diff(clock))
    mine = ours.metrics()
    # Scores that are equal in float32 stand in the gallery's order in ours, in any order in the loop.
    assert all(abs(mine[name] - value) < 1e-3 for name, value in slow.items()), (mine, slow)
    fast, plain = np.min(times, axis=0)
    print(f"{QUERIES} × {GALLERY}, {DIM} numbers, {CLASSES} classes, {torch.get_num_threads()} threads")
    print(f"  ours                       {fast:6.2f} s")
    print(f"  loop over queries          {plain:6.2f} s   {plain / fast:.1f} ×")
    print(f"  same numbers: {', '.join(f'{name} {value:.3f}' for name, value in slow.items())}")


if __name__ == "__main__":
    main()
