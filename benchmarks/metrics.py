"""The metrics against the plain way of published retrieval code, closed set and zero-shot.

The plain way holds the whole float64 similarity matrix, sorts all of it, and walks over queries and depths in
Python: as UCDIR and ProtoOT do for P@k, and as SAKE and AMA do for interpolated mAP, here with one sort a
query where theirs has four. Run ``python -m benchmarks.metrics``; both ways must give the same numbers.
"""

import numpy as np
import tyro

from tools.timing import clustered, fastest, machine, table
from tpsnet.evaluation import evaluate, evaluate_zero_shot
from tpsnet.types import Embeddings

DIM, KS, DEEP = 512, (1, 5, 15), (100, 200)


def plain_closed(query: Embeddings, gallery: Embeddings) -> dict[str, float]:
    """P@k in the field's convention and mAP."""
    wanted, has = query.labels.numpy(), gallery.labels.numpy()
    order = np.argsort(-_similarity(query, gallery), axis=1)
    hits, possible, average = dict.fromkeys(KS, 0), dict.fromkeys(KS, 0), []
    for q in range(len(wanted)):
        for k in KS:
            top = min(k, int((has == wanted[q]).sum()))
            hits[k] += int((has[order[q, :top]] == wanted[q]).sum())
            possible[k] += top
        right = has[order[q]] == wanted[q]
        precision = np.cumsum(right) / np.arange(1, len(has) + 1)
        average.append((precision * right).sum() / right.sum())
    return {"mAP": 100 * float(np.mean(average)), **{f"P@{k}": 100 * hits[k] / possible[k] for k in KS}}


def plain_zero_shot(query: Embeddings, gallery: Embeddings) -> dict[str, float]:
    """Interpolated mAP, the same at k, and plain P@k in the definition ``voc_minR``."""
    wanted, has = query.labels.numpy(), gallery.labels.numpy()
    similarity, found = _similarity(query, gallery), {}
    for q in range(len(wanted)):
        right = has[np.argsort(-similarity[q])] == wanted[q]
        total = int(right.sum())
        found.setdefault("interpolated mAP", []).append(envelope_area(right, total))
        for k in DEEP:
            found.setdefault(f"interpolated mAP@{k}", []).append(envelope_area(right[:k], min(k, total)))
            found.setdefault(f"plain P@{k}", []).append(right[:k].mean())
    return {name: 100 * float(np.mean(values)) for name, values in found.items()}


def envelope_area(right: np.ndarray, total: int) -> float:
    """Pascal VOC's area under the curve, rank by rank."""
    hits = np.cumsum(right)
    recall = np.concatenate([[0.0], hits / total, [1.0]])
    precision = np.concatenate([[0.0], hits / np.arange(1, len(right) + 1), [0.0]])
    for i in range(len(precision) - 1, 0, -1):
        precision[i - 1] = max(precision[i - 1], precision[i])
    steps = np.flatnonzero(recall[1:] != recall[:-1])
    return float(((recall[steps + 1] - recall[steps]) * precision[steps + 1]).sum())


def _similarity(query: Embeddings, gallery: Embeddings) -> np.ndarray:
    return query.vectors.double().numpy() @ gallery.vectors.double().numpy().T


def main(quick: bool = False) -> None:
    """Time both ways, compare their numbers, print the ratios.

    Args:
        quick: Whether a small part is enough, to see that it runs.
    """
    shapes = {
        "closed set": (plain_closed, evaluate, KS, 4439, 4365, 65),
        "zero-shot": (plain_zero_shot, evaluate_zero_shot, DEEP, 500, 10_000, 25),
    }
    print(machine(), "\n")
    rows = []
    for name, (plain, ours, ks, n, m, classes) in shapes.items():
        n, m = (n // 20, m // 5) if quick else (n, m)
        both = clustered("query", n, classes, DIM, 1), clustered("gallery", m, classes, DIM, 2)
        mine, theirs = ours(*both, ks).metrics(), plain(*both)
        # Scores that are equal in float32 stand in the gallery's order in ours, in any order in the loop.
        assert all(abs(mine[key] - value) < 1e-3 for key, value in theirs.items()), (mine, theirs)
        ways = {
            "ours": lambda both=both, ours=ours, ks=ks: ours(*both, ks),
            "plain": lambda f=plain, b=both: f(*b),
        }
        taken = fastest(ways, 1 if quick else 3)
        rows.append([name, f"{n} × {m}", taken["plain"], taken["ours"], taken["plain"] / taken["ours"]])
    table(["metrics", "queries × gallery", "plain loops, s", "ours, s", "plain / ours"], rows)


if __name__ == "__main__":
    tyro.cli(main)
