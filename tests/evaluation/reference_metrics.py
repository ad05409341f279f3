"""Ranking and metrics as plain loops over lists, written from the definitions."""

from tpsnet.types import Embeddings


def slow_order(query: list[float], gallery: list[list[float]]) -> list[int]:
    """Gallery positions by falling cosine, equal ones in the gallery's order."""
    score = [sum(a * b for a, b in zip(query, item, strict=True)) for item in gallery]
    return sorted(range(len(gallery)), key=lambda i: (-score[i], i))


def slow_scores(query: Embeddings, gallery: Embeddings, ks: tuple[int, ...]) -> dict[str, object]:
    """P@k in both conventions, mAP and the number of queries without a match; percent."""
    hits, wanted = dict.fromkeys(ks, 0), dict.fromkeys(ks, 0)
    plain, average, unmatched = {k: [] for k in ks}, [], 0
    items, classes = gallery.vectors.tolist(), gallery.labels.tolist()
    for vector, label in zip(query.vectors.tolist(), query.labels.tolist(), strict=True):
        right = [classes[i] == label for i in slow_order(vector, items)]
        n_q = right.count(True)
        if n_q == 0:
            unmatched += 1
            continue
        for k in ks:
            hits[k] += right[: min(k, n_q)].count(True)
            wanted[k] += min(k, n_q)
            plain[k].append(right[:k].count(True) / k)
        average.append(sum(right[: r + 1].count(True) / (r + 1) for r in range(len(right)) if right[r]) / n_q)
    return {
        "precision": {k: 100 * hits[k] / wanted[k] for k in ks},
        "plain": {k: 100 * sum(plain[k]) / len(plain[k]) for k in ks},
        "mean_ap": 100 * sum(average) / len(average),
        "unmatched": unmatched,
    }
