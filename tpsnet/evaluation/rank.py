"""Exact nearest neighbours by cosine, chunk by chunk, with ties in the gallery's order.

The same two vectors may get scores one bit apart in different places of a float32 product, and another chunk
size moves those bits again, so that copies in the gallery change places. The product is therefore taken in
float64 and rounded to float32: its own noise is some 10⁻⁸ of a float32 step, and copies tie.
"""

from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tpsnet.types import Embeddings, InputError, Ranking

Search = Callable[[Tensor], tuple[Tensor, Tensor]]  # queries to (indices, scores)


def rank(
    query: Embeddings, gallery: Embeddings, k: int | None = None, engine: str = "torch", chunk: int = 256
) -> Ranking:
    """The ``k`` best gallery items of every query, best first.

    Args:
        query: the pictures that ask.
        gallery: the pictures that are searched; same class table and width as ``query``.
        k: how many items to return; all of them by default, which takes memory O(query × gallery).
        engine: ``"torch"`` orders equal scores by their place in the gallery. ``"faiss"`` (a flat index,
            exact too) is quicker for few neighbours in a large gallery; equal scores come in any order.
        chunk: queries searched at once; the result does not depend on it.

    Raises:
        InputError: see ``iter_rankings``.
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
    query: Embeddings, gallery: Embeddings, k: int | None = None, engine: str = "torch", chunk: int = 256
) -> Iterator[Ranking]:
    """What ``rank`` returns, ``chunk`` queries at a time: memory O(chunk × gallery).

    Raises:
        InputError: the class tables or widths differ, ``k`` is below one or above the gallery's size, the
            engine is unknown or not installed.
    """
    check_depth(len(gallery) if k is None else k, gallery)
    _check_pair(query, gallery)
    search = _engine(engine)(gallery.vectors, len(gallery) if k is None else k)
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
            f"k = {k} with a gallery of {len(gallery)} pictures ({gallery.domain!r}); "
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


def _engine(name: str) -> Callable[[Tensor, int], Search]:
    engines = {"torch": _torch_search, "faiss": _faiss_search}
    if name not in engines:
        raise InputError(f"engine {name!r} is unknown; choose from {', '.join(engines)}")
    return engines[name]


def _torch_search(gallery: Float[Tensor, "gallery dim"], k: int) -> Search:
    gallery = gallery.double().T

    def search(queries: Float[Tensor, "query dim"]) -> tuple[Tensor, Tensor]:
        scores = (queries.double() @ gallery).float()
        indices = _best_first(scores)[:, :k]
        return indices, scores.gather(1, indices)

    return search


def _best_first(scores: Float[Tensor, "query gallery"]) -> Int[Tensor, "query gallery"]:
    """Column numbers of each row by falling score, equal scores by rising column.

    Score and column are packed into one integer, so that no two keys of a row are equal: any sort is then a
    stable one, and NumPy's vectorised sort of integers takes a tenth of a stable argsort's time.
    """
    bits = (0.0 - scores).view(torch.int32)  # subtracting from zero also turns -0 into 0
    # The bits of floats rise with their value, but those of negative ones fall: flip all but the sign.
    bits ^= (bits >> 31) & 0x7FFFFFFF
    keys = bits.long()
    keys <<= 32
    keys |= torch.arange(scores.shape[1])
    keys.numpy().sort(axis=1)  # in place
    keys &= 0xFFFFFFFF
    return keys


def _faiss_search(gallery: Float[Tensor, "gallery dim"], k: int) -> Search:
    try:
        import faiss
    except ImportError:
        raise InputError(
            "engine 'faiss' is not installed; pip install 'tpsnet[cpu]', or choose engine 'torch'"
        ) from None
    index = faiss.IndexFlatIP(gallery.shape[1])
    index.add(gallery.float().numpy())

    def search(queries: Float[Tensor, "query dim"]) -> tuple[Tensor, Tensor]:
        scores, indices = index.search(queries.float().numpy(), k)
        return torch.from_numpy(indices), torch.from_numpy(scores)

    return search
