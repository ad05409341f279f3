"""A slow ranking, by the definition: sort the gallery by cosine, equal ones in the gallery's order."""

from tpsnet.types import Embeddings


def slow_ranking(query: Embeddings, q: int, gallery: Embeddings, k: int) -> list[tuple[int, float, bool]]:
    """The best ``k`` of the gallery for query ``q``: (position, cosine, same class)."""
    ours = query.vectors[q].tolist()
    cosine = [sum(a * b for a, b in zip(ours, row, strict=True)) for row in gallery.vectors.tolist()]
    order = sorted(range(len(gallery)), key=lambda i: -cosine[i])
    return [(i, cosine[i], int(gallery.labels[i]) == int(query.labels[q])) for i in order[:k]]
