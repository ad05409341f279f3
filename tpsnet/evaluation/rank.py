"""The gallery ranked for each query, chunk by chunk, with ties in the gallery's order."""

from collections.abc import Iterator

import torch

from tpsnet.errors import InputError
from tpsnet.neighbours import searcher
from tpsnet.types import Embeddings, Ranking


def rank(
    query: Embeddings, gallery: Embeddings, k: int | None = None, engine: str = "auto", chunk: int = 256
) -> Ranking:
    """The ``k`` best gallery images of every query, best first.

    Args:
        query: L2-normalised embeddings of the query images.
        gallery: L2-normalised embeddings of the gallery images, of the same class table and width.
        k: Number of results per query; by default the whole gallery, in memory O(query × gallery).
        engine: Engine that ranks: ``"torch"`` or ``"faiss"``, which return the same; ``"auto"`` takes the
            quicker one, see ``neighbours.resolve_engine``.
        chunk: Number of queries ranked at once; the result does not depend on it.

    Raises:
        InputError: The pair cannot be ranked, see ``iter_rankings``.
    """
    parts = list(iter_rankings(query, gallery, k, engine, chunk))
    return Ranking(
        indices=torch.cat([part.indices for part in parts]),
        scores=torch.cat([part.scores for part in parts]),
        relevant=torch.cat([part.relevant for part in parts]),
        n_relevant=torch.cat([part.n_relevant for part in parts]),
        rejected=torch.cat([part.rejected for part in parts]),
    )


def iter_rankings(
    query: Embeddings, gallery: Embeddings, k: int | None = None, engine: str = "auto", chunk: int = 256
) -> Iterator[Ranking]:
    """What ``rank`` returns, ``chunk`` queries at a time: memory O(chunk × gallery).

    Raises:
        InputError: The class tables or widths differ, ``k`` is below one or above the gallery's size, or the
            engine is unknown or not installed.
    """
    k = len(gallery) if k is None else k
    check_depth(k, gallery)
    _check_pair(query, gallery)
    search = searcher(gallery.vectors, k, engine)
    of_class = gallery.labels.bincount(minlength=len(gallery.class_names))
    rejected = torch.zeros(len(query), dtype=torch.bool) if query.rejected is None else query.rejected
    parts = zip(query.vectors.split(chunk), query.labels.split(chunk), rejected.split(chunk), strict=True)
    for vectors, labels, refused in parts:
        indices, scores = search(vectors)
        relevant = (gallery.labels == labels[:, None]).gather(1, indices)
        yield Ranking(indices, scores, relevant, of_class[labels], refused)


def check_depth(k: int, gallery: Embeddings) -> None:
    """Refuse a ``k`` that the gallery cannot fill."""
    if not 1 <= k <= len(gallery):
        raise InputError(
            f"k = {k} with a gallery of {len(gallery)} images ({gallery.domain!r}); "
            f"choose k from 1 to {len(gallery)}"
        )


def _check_pair(query: Embeddings, gallery: Embeddings) -> None:
    pair = f"query {query.domain!r} and gallery {gallery.domain!r}"
    if query.class_names != gallery.class_names:
        raise InputError(f"{pair} have different class tables; load both from one root")
    if query.vectors.shape[1] != gallery.vectors.shape[1]:
        raise InputError(
            f"{pair} have vectors of {query.vectors.shape[1]} and {gallery.vectors.shape[1]} numbers; "
            "embed both with one model"
        )
