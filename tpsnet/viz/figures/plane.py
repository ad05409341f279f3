"""What the figures of two sets of vectors in the plane share."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Float64
from torch import Tensor

Projection = Callable[[Float[Tensor, "n dim"]], Float64[Tensor, "n 2"]]


def principal_plane(rows: Float[Tensor, "points dim"]) -> Projection:
    """The projection onto the plane of the rows' first two principal axes."""
    rows = rows.double()
    centre = rows.mean(dim=0)
    axes = torch.linalg.svd(rows - centre, full_matrices=False).Vh[:2]
    return lambda vectors: ((vectors.double() - centre) @ axes.T).cpu()


def links(begin: Float[Tensor, "n 2"], end: Float[Tensor, "n 2"]) -> dict[str, list[float | None]]:
    """``x`` and ``y`` of one trace of lines, from each point of ``begin`` to its partner in ``end``."""
    both = torch.stack([begin, end], dim=1)  # (line, end, axis)
    return {
        name: [v for line in both[..., axis].tolist() for v in (*line, None)]
        for axis, name in enumerate("xy")
    }
