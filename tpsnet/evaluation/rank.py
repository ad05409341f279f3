"""The gallery ranked for each query, chunk by chunk, with ties in the gallery's order.

Metrics need less: the ranks of the relevant items, which ``relevant_ranks`` finds without ordering the rest.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from tpsnet.errors import InputError
from tpsnet.neighbours import placer, searcher
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
    rejected = torch.zeros(len(query), dtype=torch.bool) if query.rejected is None else query.rejected
    parts = (query.vectors, query.labels, count_relevant(query, gallery), rejected)
    parts, has = (
        [part.to(gallery.vectors.device) for part in parts],
        gallery.labels.to(gallery.vectors.device),
    )
    for vectors, labels, n_relevant, refused in zip(*(part.split(chunk) for part in parts), strict=True):
        indices, scores = search(vectors)
        relevant = has[indices] == labels[:, None]
        yield Ranking(indices, scores, relevant, n_relevant, refused)


@dataclass(frozen=True, eq=False)
class RelevantRanks:
    """Where the relevant items of some queries stand, on the device that ranked.

    Attributes:
        queries: Positions of the queries.
        ranks: Ranks of their relevant items, from 1 on, rising; a row ends with the gallery's size plus 1
            where another query has more relevant items.
        n_relevant: Number of relevant items of each, at least 1.
    """

    queries: Int[Tensor, " query"]
    ranks: Int[Tensor, "query relevant"]
    n_relevant: Int[Tensor, " query"]


def relevant_ranks(
    query: Embeddings,
    gallery: Embeddings,
    engine: str = "auto",
    chunk: int = 256,
    device: torch.device | str | None = None,
) -> Iterator[RelevantRanks]:
    """The ranks of all relevant items of every query that has one, in memory O(chunk × gallery).

    They are those of ``iter_rankings``. Queries come in the order of their number of relevant items, so that
    rows of one chunk are about equally long. Nothing here waits for the device.

    Args:
        query: L2-normalised embeddings of the query images.
        gallery: L2-normalised embeddings of the gallery images, of the same class table and width.
        engine: Engine that ranks, see ``rank``.
        chunk: Number of queries ranked at once; the result does not depend on it.
        device: Where to rank, by default where the gallery's vectors are.

    Raises:
        InputError: The pair cannot be ranked, see ``iter_rankings``.
    """
    _check_pair(query, gallery)
    asked, searched = (part.vectors.to(device or gallery.vectors.device) for part in (query, gallery))
    place, device = placer(searched, engine), searched.device
    wanted, n_relevant = query.labels.cpu(), count_relevant(query, gallery)
    of_class = gallery.labels.cpu().bincount(minlength=len(gallery.class_names))
    items, first = gallery.labels.cpu().argsort(stable=True), of_class.cumsum(0) - of_class
    order = n_relevant.argsort(stable=True)
    for some in order[n_relevant[order] > 0].split(chunk):
        own = n_relevant[some]
        nth = torch.arange(int(own[-1]))
        lacking = (nth >= own[:, None]).to(device)
        columns = items[first[wanted[some], None] + nth.minimum(own[:, None] - 1)].to(device)
        some, own = some.to(device), own.to(device)
        ranks = place(asked[some], columns).masked_fill_(lacking, len(gallery) + 1)
        yield RelevantRanks(some, ranks.sort(dim=1).values, own)


def count_relevant(query: Embeddings, gallery: Embeddings) -> Int[Tensor, " query"]:
    """Number of relevant items in the gallery for each query, on the processor."""
    return gallery.labels.cpu().bincount(minlength=len(gallery.class_names))[query.labels.cpu()]


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
