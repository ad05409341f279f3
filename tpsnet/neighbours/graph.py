r"""Diffusion over the graph of nearest neighbours of some domains, as a rule two.

Every image is tied to its k nearest images of each domain, itself left out, by

.. math:: a_{ij} = \max(0, \langle z_i, z_j\rangle)^\gamma, \qquad W = \tfrac{1}{2}(A + A^\top), \qquad
          S = D^{-1/2} W D^{-1/2}

with D the row sums of W, and the embeddings are spread along the ties:

.. math:: y^{(0)} = z, \qquad y^{(t+1)} = \alpha S y^{(t)} + (1 - \alpha) z

Source: ranking on data manifolds (Zhou et al., NeurIPS 2003) and its use in image retrieval (Iscen et al.,
CVPR 2017: mutual neighbours, cosines to the power γ = 3). Ours differs: each domain gives every image the
same number of neighbours, since the nearest ones are otherwise all of its own domain; an image that chooses
and is chosen has twice the weight, where Iscen et al. keep mutual neighbours alone; embeddings are spread
instead of the scores of one query, so that ranking goes on by cosine; and a few steps take the place of a
linear solver. A new image reads off what its neighbours hold, without a change to the graph.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from tpsnet.errors import InputError
from tpsnet.neighbours.search import nearest

TINY = 1e-12  # the degree of a row without ties


@dataclass(frozen=True, eq=False)
class NeighbourGraph:
    """The matrix S of the rows of some domains, one domain after the other.

    Memory is of the order of rows × neighbours.

    Attributes:
        sizes: Number of rows of each domain.
        neighbours: Number k of neighbours in each domain.
        power: Exponent γ of the cosines.
        starts: Where the entries of each row begin in ``columns`` and ``weights``, and the end of the last.
        columns: Column of each entry.
        weights: Value of each entry.
        degrees: Row sums of W.
    """

    sizes: tuple[int, ...]
    neighbours: int
    power: float
    starts: Int[Tensor, " row_and_end"]
    columns: Int[Tensor, " entry"]
    weights: Float[Tensor, " entry"]
    degrees: Float[Tensor, " row"]

    @torch.no_grad()
    def step(self, y: Float[Tensor, "row dim"]) -> Float[Tensor, "row dim"]:
        """The product S y; no gradient flows."""
        return F.embedding_bag(
            self.columns,
            y,
            self.starts,
            mode="sum",
            per_sample_weights=self.weights,
            include_last_offset=True,
        )

    def spread(self, z: Float[Tensor, "row dim"], share: float, steps: int) -> Float[Tensor, "row dim"]:
        """The embeddings y after some steps, whose length tells how well tied a row is.

        Args:
            z: The rows that the graph was made from.
            share: The share α that comes from the neighbours at each step, from 0 to below 1.
            steps: Number of steps.
        """
        y = z
        for _ in range(steps):
            y = share * self.step(y) + (1 - share) * z
        return y

    def attach(
        self,
        new: Float[Tensor, "n dim"],
        z: Float[Tensor, "row dim"],
        y: Float[Tensor, "row dim"],
        share: float,
    ) -> Float[Tensor, "n dim"]:
        """What new images hold once they are tied to known ones, which stay as they are.

        Args:
            new: L2-normalised rows of images that the graph does not know.
            z: The rows that the graph was made from.
            y: What ``spread`` has made of them.
            share: The share α of ``spread``.
        """
        total, weight = torch.zeros_like(new), new.new_zeros(len(new))
        for start, known in zip(_starts(self.sizes), z.split(self.sizes), strict=True):
            index, cosine = nearest(new, known, min(self.neighbours, len(known)))
            index, ties = index + start, _weights(cosine, self.power, new.dtype)
            # One image of the gallery has few ties of its own; half of each is what W would hold.
            scaled = ties / 2 / self.degrees[index].clamp_min(TINY).sqrt()
            total += (scaled[:, :, None] * y[index]).sum(dim=1)
            weight += ties.sum(dim=1) / 2
        return share * total / weight.clamp_min(TINY).sqrt()[:, None] + (1 - share) * new


def neighbour_graph(
    domains: Sequence[Float[Tensor, "_ dim"]], neighbours: int, power: float, engine: str = "auto"
) -> NeighbourGraph:
    """Tie every row to its nearest rows in each domain.

    Args:
        domains: L2-normalised rows of each domain.
        neighbours: Number k of neighbours in each domain; fewer where a domain has fewer.
        power: Exponent γ of the cosines.
        engine: Engine that searches, see ``resolve_engine``; it changes no value.

    Raises:
        InputError: there are no neighbours to take, or a row is not finite.
    """
    if neighbours < 1:
        raise InputError(f"a graph of {neighbours} neighbours; give at least 1")
    if not all(bool(z.isfinite().all()) for z in domains):
        raise InputError("embeddings hold NaN or infinity; look at the model they come from")
    sizes = tuple(map(len, domains))
    n, starts = sum(sizes), _starts(sizes)
    edges, values = [torch.zeros(0, dtype=torch.long, device=domains[0].device)], [domains[0].new_zeros(0)]
    for start, rows in zip(starts, domains, strict=True):
        for other_start, others in zip(starts, domains, strict=True):
            itself = start == other_start
            k = min(neighbours, len(others) - itself)
            if not k:
                continue
            index, cosine = nearest(rows, others, k, itself=itself, engine=engine)
            own = torch.arange(len(rows), device=rows.device)[:, None].expand_as(index)
            edges.append((own + start).flatten() * n + (index + other_start).flatten())
            values.append(_weights(cosine, power, rows.dtype).flatten())
    return _symmetric(torch.cat(edges), torch.cat(values), sizes, neighbours, power)


def _weights(cosine: Float[Tensor, "n k"], power: float, dtype: torch.dtype) -> Float[Tensor, "n k"]:
    return cosine.to(dtype).clamp_min(0) ** power


def _starts(sizes: tuple[int, ...]) -> list[int]:
    """Row at which each domain begins."""
    return [sum(sizes[:d]) for d in range(len(sizes))]


def _symmetric(
    edges: Int[Tensor, " edge"],
    values: Float[Tensor, " edge"],
    sizes: tuple[int, ...],
    neighbours: int,
    power: float,
) -> NeighbourGraph:
    """S from the entries of A, each given as row × n + column."""
    n = sum(sizes)
    mirrored = edges % n * n + edges // n
    entries, where = torch.cat([edges, mirrored]).unique(return_inverse=True)
    halves = values.repeat(2) / 2
    weights = halves.new_zeros(len(entries)).index_add_(0, where, halves)
    row, column = entries // n, entries % n
    degrees = weights.new_zeros(n).index_add_(0, row, weights)
    scale = degrees.clamp_min(TINY).rsqrt()
    starts = torch.searchsorted(row, torch.arange(n + 1, device=row.device))
    return NeighbourGraph(
        sizes, neighbours, power, starts, column, weights * scale[row] * scale[column], degrees
    )
