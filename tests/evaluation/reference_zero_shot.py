"""The zero-shot metrics as plain loops over one query's ranking, one function a code base's definition."""


def voc_area(right: list[bool], total: int) -> float:
    """Area under the interpolated precision-recall curve, as Pascal VOC 2010 draws it."""
    recall, precision, hits = [0.0], [0.0], 0
    for rank, is_right in enumerate(right, 1):
        hits += is_right
        recall.append(hits / total)
        precision.append(hits / rank)
    recall, precision = [*recall, 1.0], [*precision, 0.0]
    for i in range(len(precision) - 2, -1, -1):
        precision[i] = max(precision[i], precision[i + 1])
    return sum((recall[i + 1] - recall[i]) * precision[i + 1] for i in range(len(recall) - 1))


def plain_area(right: list[bool], total: int) -> float:
    """Mean precision at the hits, over ``total``; 0 without a hit."""
    at_hits = [sum(right[:r]) / r for r in range(1, len(right) + 1) if right[r - 1]]
    return sum(at_hits) / total if at_hits else 0.0


def slow_average_precision(right: list[bool], n_relevant: int, k: int, mode: str) -> float:
    top = right[:k]
    if mode == "hits":
        return plain_area(top, sum(top))
    return (voc_area if mode == "voc_minR" else plain_area)(top, min(k, n_relevant))
