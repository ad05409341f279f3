"""A flat map of the embedding space, and how far it can be trusted.

UMAP (McInnes et al. 2018, arXiv:1802.03426) differs from machine to machine, so the coordinates are kept with
the run and used again: the key is a hash of the vectors, the parameters and umap's version.
"""

import hashlib
import json
from contextlib import suppress
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tpsnet.errors import InputError
from tpsnet.io import read_tensors, write_tensors


def umap_map(
    vectors: Float[Tensor, "points dim"],
    folder: Path,
    *,
    start: Float[Tensor, "points 2"] | None = None,
    neighbours: int | None = None,
    min_distance: float = 0.5,
    seed: int = 0,
) -> Float[Tensor, "points 2"]:
    """Two coordinates per point by UMAP under the cosine distance; a second call reads the first one's file.

    Args:
        vectors: Embeddings as L2-normalised rows.
        folder: Folder in which the coordinates are kept.
        start: UMAP starts from these coordinates, e.g. the map before training, so that two maps can be
            compared by eye; without them it takes its spectral start.
        neighbours: Size of the neighbourhood UMAP keeps together; by default that of ``neighbourhood``.
        min_distance: How tightly UMAP packs points.
        seed: Seed of UMAP.

    Raises:
        InputError: There are no more points than ``neighbours``, or the folder cannot be written.
    """
    neighbours = neighbourhood(len(vectors)) if neighbours is None else neighbours
    if len(vectors) <= neighbours:
        raise InputError(
            f"a map of {len(vectors)} points cannot keep {neighbours} neighbours; lower neighbours"
        )
    import umap  # here, since the import compiles for seconds

    parameters = {
        "n_neighbors": neighbours,
        "min_dist": min_distance,
        "random_state": seed,
        "metric": "cosine",
    }
    key = hashlib.sha256(json.dumps([parameters, umap.__version__], sort_keys=True).encode())
    for tensor in (vectors, start):
        key.update(b"-" if tensor is None else tensor.float().contiguous().numpy().tobytes())
    path = folder / f"umap-{key.hexdigest()[:16]}.safetensors"
    with suppress(InputError, KeyError):  # missing or damaged: project again
        points = read_tensors(path)[0]["points"]
        if points.shape == (len(vectors), 2) and points.dtype == torch.float32:
            return points
    init = "spectral" if start is None else start.double().numpy()
    # n_jobs=1 is what a seed asks for anyway; saying so silences umap's warning.
    points = umap.UMAP(**parameters, init=init, n_jobs=1).fit_transform(vectors.float().numpy())
    points = torch.from_numpy(points).float()
    write_tensors(path, {"points": points}, parameters)
    return points


def neighbourhood(n: int) -> int:
    """How many neighbours make a neighbourhood among ``n`` points: an eighth of them, at least 2, at most 30.

    30 of 60 points would be half of all.
    """
    return max(2, min(30, n // 8))


def nearest(points: Float[Tensor, "points dim"], k: int, chunk: int = 1024) -> Int[Tensor, "points k"]:
    """The ``k`` nearest other points by Euclidean distance, nearest first.

    On L2-normalised rows this is the order of the cosine.

    Raises:
        InputError: ``k`` is outside 1 to the number of other points.
    """
    if not 0 < k < len(points):
        raise InputError(
            f"cannot take {k} neighbours among {len(points)} points; choose 1 to {len(points) - 1}"
        )
    exact = points.double()  # the expanded square below loses half of float32's digits
    squares, found = exact.square().sum(dim=1), []
    for rows in torch.arange(len(points)).split(chunk):
        distance = squares - 2 * exact[rows] @ exact.T  # squared, less the row's own square
        distance[torch.arange(len(rows)), rows] = torch.inf  # not its own neighbour
        found.append(distance.topk(k, dim=1, largest=False).indices)
    return torch.cat(found)


def neighbours_kept(
    vectors: Float[Tensor, "points dim"], flat: Float[Tensor, "points 2"], k: int = 15
) -> Float[Tensor, " points"]:
    """Share of a point's ``k`` nearest in the original space that are also its ``k`` nearest on the map."""
    true, shown = nearest(vectors.float(), k), nearest(flat.float(), k)
    return (true[:, :, None] == shown[:, None, :]).any(dim=2).float().mean(dim=1)
