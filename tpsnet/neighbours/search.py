"""Exact nearest neighbours by cosine, with ties in the order of the rows that are searched.

The same two vectors may get scores one bit apart in different places of a float32 product, and another chunk
size moves those bits again, so that copies in the gallery change places. The product is therefore taken in
float64 and rounded to steps of 2⁻³⁰ and to float32: its own noise is some 10⁻⁷ of a step, and copies tie.

Faiss computes in float32, so it only proposes candidates; the float64 product scores and orders them. Where
its noise may hide an item that belongs among the ``k`` best, the whole gallery is ordered for that query.
Both engines hence return the same indices and scores.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from types import ModuleType

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, Int, Int64
from torch import Tensor

from tpsnet.errors import InputError

Rows = Float[Tensor, "_ dim"] | Float[np.ndarray, "_ dim"]  # arrays become tensors, gradients stay behind
Search = Callable[[Rows], tuple[Tensor, Tensor]]  # queries to (indices, scores)
Place = Callable[[Rows, Tensor], Tensor]  # queries and items of each to the places of these items
Proposals = Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]]  # queries and k to (scores, indices)

ENGINES = ("auto", "torch", "faiss")
# Measured (benchmarks/results/engines.md): from this gallery on, up to this share of it faiss is the quicker.
FAISS_GALLERY, FAISS_SHARE = 5000, 1 / 100
MARGIN = 16  # candidates beyond k, for near ties at the edge
BLAS_QUERIES = 8  # measured: from here on BLAS is quicker; faiss itself turns to it much later
GATHERED = 2**18  # numbers of candidates scored at once: 2 MiB stay in the cache
ROUNDED = 2**17  # products rounded at once: 1 MiB stays in the cache
TIES = 64  # from so many ties in a row on, ordering all of it is quicker than looking at each
COMPARED = 2**22  # scores compared at once where ties are looked at
GPU_MAX_K = 2048  # the most that a faiss index on a GPU returns
PIECE = 1024  # rows brought to float64 at once: they stay in the cache
CHUNK = 256  # queries at once, for whoever searches many
GRID = 2.0**22  # float64 numbers of this size lie 2⁻³⁰ apart


def searcher(gallery: Rows, k: int, engine: str = "auto") -> Search:
    """A function from some queries to the indices and scores of their ``k`` nearest rows, best first.

    Args:
        gallery: L2-normalised rows to search; rows on a GPU are searched there, by torch.
        k: Number of results, at most the number of rows.
        engine: Engine that ranks: ``"torch"`` or ``"faiss"``, which return the same; ``"auto"`` takes the
            quicker one, see ``resolve_engine``.

    Raises:
        InputError: see ``resolve_engine``.
    """
    gallery = _tensor(gallery)
    faiss = gallery.is_cpu and resolve_engine(engine, k, len(gallery)) == "faiss"
    search = _faiss_search(gallery, k) if faiss else _torch_search(gallery, k)
    return lambda queries: search(_tensor(queries))


def nearest(
    rows: Rows,
    others: Rows,
    k: int,
    *,
    itself: bool = False,
    engine: str = "auto",
) -> tuple[Int[Tensor, "n k"], Float[Tensor, "n k"]]:
    """Indices and cosines of the ``k`` nearest of the other rows, for many rows at once.

    Args:
        rows: L2-normalised rows.
        others: L2-normalised rows to search.
        k: Number of results, at most the number of the other rows.
        itself: Whether the other rows are the rows themselves; each row is then left out of its own results.
        engine: Engine that ranks, see ``searcher``.

    Raises:
        InputError: see ``resolve_engine``.
    """
    search, found = searcher(others, k + itself, engine), []
    for first, some in enumerate(_tensor(rows).split(CHUNK)):
        index, cosine = search(some)
        if itself:
            place = first * CHUNK + torch.arange(len(some), device=some.device)
            # Among many copies a row may not find itself; the last one then goes.
            away = (index == place[:, None]).long()
            away[:, -1] += away.sum(dim=1) == 0
            kept = (away == 0).nonzero()[:, 1].view(len(some), k)
            index, cosine = index.gather(1, kept), cosine.gather(1, kept)
        found.append((index, cosine))
    index, cosine = (torch.cat(part) for part in zip(*found, strict=True))
    return index, cosine


def cosines(rows: Float[Tensor, "n dim"], others: Float[Tensor, "m dim"]) -> Float32[Tensor, "n m"]:
    """Cosines of some rows with all others, as every search here scores them.

    For a few rows at a time: the others are brought to float64 piece by piece, so that no copy of them stays.
    """
    some = rows.double()
    return torch.cat([_rounded(some @ part.double().T) for part in others.split(PIECE)], dim=1)


def placer(gallery: Rows, engine: str = "auto") -> Place:
    """A function from some queries and some gallery items of each to the places of these items.

    Metrics need the ranks of the relevant items alone, and those cost less than the order of all items.

    Args:
        gallery: L2-normalised rows, which are ranked where they are.
        engine: Engine that ranks, see ``searcher``; both give the same places.

    Returns:
        Called with queries (query, dim) and positions in the gallery (query, item), places from 1 on, as
        the whole ranking of ``searcher`` has them.

    Raises:
        InputError: see ``resolve_engine``.
    """
    gallery = _tensor(gallery)
    if gallery.is_cpu and resolve_engine(engine, None, len(gallery)) == "faiss":
        search = _faiss_search(gallery, len(gallery))

        def looked_up(queries: Rows, items: Int[Tensor, "query item"]) -> Int[Tensor, "query item"]:
            order, _ = search(_tensor(queries))
            return order.argsort(dim=1).gather(1, items) + 1

        return looked_up
    columns = gallery.double().T
    return lambda queries, items: places(_rounded(_tensor(queries).double() @ columns), items)


def resolve_engine(engine: str, k: int | None, gallery_size: int) -> str:
    """``"torch"`` or ``"faiss"``: the engine that ranks for a call of ``rank`` with these arguments.

    ``"auto"`` takes faiss where it is installed, the gallery has ``FAISS_GALLERY`` images or more, and ``k``
    (the whole gallery where ``None``) is at most ``FAISS_SHARE`` of it. An index on a GPU cannot return more
    than ``GPU_MAX_K`` candidates; torch ranks beyond, also where faiss is forced.

    Raises:
        InputError: The engine is unknown, or faiss is forced and not installed.
    """
    if engine not in ENGINES:
        raise InputError(f"engine {engine!r} is unknown; choose from {', '.join(ENGINES)}")
    k = gallery_size if k is None else k
    pays = gallery_size >= FAISS_GALLERY and k <= FAISS_SHARE * gallery_size
    if engine == "torch" or (engine == "auto" and not pays):
        return "torch"
    faiss = _faiss()
    if faiss is None and engine == "faiss":
        raise InputError(
            "engine 'faiss' is not installed; pip install 'tpsnet[cpu]', or choose engine 'torch'"
        )
    if faiss is None or (_on_gpu(faiss) and min(k + MARGIN, gallery_size) > GPU_MAX_K):
        return "torch"
    return "faiss"


def _tensor(rows: Rows) -> Float[Tensor, "_ dim"]:
    return torch.as_tensor(rows).detach()


def _torch_search(gallery: Float[Tensor, "gallery dim"], k: int) -> Search:
    gallery = gallery.double().T

    def search(queries: Float[Tensor, "query dim"]) -> tuple[Tensor, Tensor]:
        scores = _rounded(queries.double() @ gallery)
        indices = best_first(scores, k)
        return indices, scores.gather(1, indices)

    return search


def _rounded(products: Float64[Tensor, "query gallery"]) -> Float32[Tensor, "query gallery"]:
    """Scores without the noise of a float64 product, whose order of summation depends on its shape.

    Float32 alone has finer steps than that noise around zero.
    """
    scores = torch.empty_like(products, dtype=torch.float32)
    rows = max(1, ROUNDED // max(1, products.shape[1])) if products.is_cpu else len(products)
    for part, rounded in zip(products.split(rows), scores.split(rows), strict=True):
        part += GRID
        part -= GRID
        rounded.copy_(part)
    return scores


def best_first(scores: Float[Tensor, "query gallery"], k: int) -> Int[Tensor, "query k"]:
    """The first ``k`` column numbers of each row by falling score, equal scores by rising column.

    Args:
        scores: Scores of each query, as ``searcher`` or ``cosines`` gives them.
        k: How many, at most the number of columns.
    """
    keys = _keys(scores, torch.arange(scores.shape[1], device=scores.device))
    few = 4 * k <= keys.shape[1]  # measured on a processor: beyond, the whole sort is quicker
    keys = keys.topk(k, largest=False).values if few else _rising(keys)
    return keys[:, :k] & 0xFFFFFFFF


def places(
    scores: Float[Tensor, "query gallery"], columns: Int[Tensor, "query column"]
) -> Int[Tensor, "query column"]:
    """Places of some columns of each row, from 1 on, in the order of ``best_first`` for all of it.

    On a processor the scores alone are sorted, and ties are looked at where there are any. Elsewhere that
    look would make the processor wait for the device.

    Args:
        scores: Scores of each query, as for ``best_first``.
        columns: Column numbers, in any order.
    """
    if not scores.is_cpu:
        return _places_by_keys(scores, columns)
    own, size = scores.gather(1, columns), scores.shape[1]
    rising = _rising(scores.clone())
    end = torch.searchsorted(rising, own, right=True)
    found = size + 1 - end
    tied = (rising.gather(1, (end - 2).clamp_min_(0)) == own) & (end > 1)
    many = tied.sum(dim=1) > TIES
    if many.any():
        found[many] = _places_by_keys(scores[many], columns[many])
    rows, items = (tied & ~many[:, None]).nonzero(as_tuple=True)
    step = max(1, COMPARED // size)
    for row, item in zip(rows.split(step), items.split(step), strict=True):
        before = torch.arange(size) < columns[row, item, None]
        found[row, item] += (before & (scores[row] == own[row, item, None])).sum(dim=1)
    return found


def _places_by_keys(
    scores: Float[Tensor, "query gallery"], columns: Int[Tensor, "query column"]
) -> Int[Tensor, "query column"]:
    keys = _rising(_keys(scores, torch.arange(scores.shape[1], device=scores.device)))
    return torch.searchsorted(keys, _keys(scores.gather(1, columns), columns)) + 1


def _keys(
    scores: Float[Tensor, "query column"], columns: Int[Tensor, "*_ column"]
) -> Int64[Tensor, "query column"]:
    """Score and column packed into one integer that rises in the order of ``best_first``.

    No two keys of a row are equal, so any sort is a stable one, and NumPy's vectorised sort of integers takes
    a tenth of a stable argsort's time.
    """
    bits = (0.0 - scores).view(torch.int32)  # subtracting from zero also turns -0 into 0
    # The bits of floats rise with their value, but those of negative ones fall: flip all but the sign.
    bits ^= (bits >> 31) & 0x7FFFFFFF
    keys = bits.long()
    keys <<= 32
    keys |= columns
    return keys


def _rising(rows: Tensor) -> Tensor:
    """Rows sorted; on a processor in place by NumPy, as torch's sort moves the columns' numbers too."""
    if not rows.is_cpu:
        return rows.sort(dim=1).values
    threads = torch.get_num_threads()
    with ThreadPoolExecutor(threads) as pool:  # NumPy sorts without Python's lock
        list(pool.map(lambda part: part.sort(axis=1), np.array_split(rows.numpy(), threads)))
    return rows


def _faiss_search(gallery: Float[Tensor, "gallery dim"], k: int) -> Search:
    size, dim = gallery.shape
    propose = _faiss_on_gpu(gallery) if _on_gpu(_faiss()) else _faiss_on_cpu(gallery)
    whole = cache(lambda: _torch_search(gallery, k))  # made once, and only where it is needed
    # Twice what a float32 product of L2-normalised rows is off by at most, in any order of summation.
    noise = (dim + 2) * torch.finfo(torch.float32).eps
    n_candidates = min(k + MARGIN, size)

    def search(queries: Float[Tensor, "query dim"]) -> tuple[Tensor, Tensor]:
        proposed, candidates = map(torch.from_numpy, propose(queries.float().numpy(), n_candidates))
        candidates = candidates.sort(dim=1).values  # ties then fall in the gallery's order
        scores = _rescored(queries, gallery, candidates)
        order = best_first(scores, k)
        indices, scores = candidates.gather(1, order), scores.gather(1, order)
        if n_candidates < size:
            unsure = proposed[:, -1] + noise >= scores[:, -1]
            if unsure.any():
                indices[unsure], scores[unsure] = whole()(queries[unsure])
        return indices, scores

    return search


def _rescored(
    queries: Float[Tensor, "query dim"],
    gallery: Float[Tensor, "gallery dim"],
    candidates: Int[Tensor, "query candidate"],
) -> Float32[Tensor, "query candidate"]:
    """Scores of each query's own candidates, as ``_torch_search`` has them."""
    rows = max(1, GATHERED // (candidates.shape[1] * gallery.shape[1]))
    products = []
    for some, own in zip(queries.double().split(rows), candidates.split(rows), strict=True):
        vectors = gallery.index_select(0, own.flatten()).view(*own.shape, -1).double()
        products.append((some[:, None] @ vectors.mT)[:, 0])
    return _rounded(torch.cat(products))


def _faiss_on_cpu(gallery: Float[Tensor, "gallery dim"]) -> Proposals:
    """The search of a flat index without the index, which would copy the gallery."""
    faiss, vectors = _faiss(), gallery.float().contiguous().numpy()

    def propose(queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        default = faiss.cvar.distance_compute_blas_threshold
        faiss.cvar.distance_compute_blas_threshold = 1 if len(queries) >= BLAS_QUERIES else default
        try:
            return faiss.knn(queries, vectors, k, faiss.METRIC_INNER_PRODUCT)
        finally:
            faiss.cvar.distance_compute_blas_threshold = default

    return propose


def _faiss_on_gpu(gallery: Float[Tensor, "gallery dim"]) -> Proposals:
    faiss = _faiss()
    index = faiss.IndexFlatIP(gallery.shape[1])
    index.add(gallery.float().numpy())
    return faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), 0, index).search


def _faiss() -> ModuleType | None:
    """The faiss module, or ``None`` where it is not installed."""
    try:
        import faiss
    except ImportError:
        return None
    return faiss


def _on_gpu(faiss: ModuleType) -> bool:
    return hasattr(faiss, "StandardGpuResources") and faiss.get_num_gpus() > 0
