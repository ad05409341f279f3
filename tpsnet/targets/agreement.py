r"""How far a view can be trusted, from how often three views agree: the method of triads.

With :math:`a_{uv}` the share of neighbours across the domains that views u and v have in common, and each
view right by itself with a reliability :math:`r`, so that :math:`a_{uv} = r_u r_v`:

.. math:: r_u = \sqrt{a_{uv}\, a_{uw} / a_{vw}}

Source: the one-factor solution for three measurements (Spearman 1904), as weak supervision takes it (Fu et
al., ICML 2020). Ours differs: what agrees are nearest neighbours instead of votes, and errors are taken as
independent though the views see one image. No label is read.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tpsnet.neighbours import nearest
from tpsnet.targets.diffused import diffused

LEAST = 1e-3  # an agreement by chance alone, so that no view gets nothing or all
_PAIRS = ((0, 1), (0, 2), (1, 2))


def view_reliabilities(views: Sequence[Sequence[Float[Tensor, "_ dim"]]], k: int) -> Float[Tensor, " view"]:
    """The reliability r of each view, in (0, 1]; all are 1 where there are not three views to compare.

    Args:
        views: Of each view the L2-normalised rows of both domains, e.g. after diffusion.
        k: Number of neighbours in the other domain that are compared.
    """
    if len(views) != 3:
        return torch.ones(len(views), device=views[0][0].device)
    found = [_across(rows, k) for rows in views]
    shared = [torch.stack([_shared(found[u][d], found[v][d]) for d in range(2)]).mean() for u, v in _PAIRS]
    ab, ac, bc = (a.clamp_min(LEAST) for a in shared)
    return torch.stack([ab * ac / bc, ab * bc / ac, ac * bc / ab]).sqrt().clamp(LEAST, 1)


def view_weights(
    domains: Sequence[Sequence[Float[Tensor, "_ dim"]]], neighbours: int, share: float
) -> Float[Tensor, " view"]:
    """The reliabilities of the views after diffusion, as weights that sum to one.

    Args:
        domains: Of each domain the L2-normalised rows in every view.
        neighbours: Number of neighbours in each domain, for the graph and for what is compared.
        share: Share α of the diffusion.
    """
    found = view_reliabilities(
        [diffused(rows, neighbours, share) for rows in zip(*domains, strict=True)], neighbours
    )
    return found / found.sum()


def side_by_side(
    views: Sequence[Float[Tensor, "_ dim"]], weights: Float[Tensor, " view"]
) -> Float[Tensor, "_ views_dim"]:
    """Vectors of several views as one L2-normalised row, whose cosine is the views' weighted mean.

    Args:
        views: L2-normalised rows of each view.
        weights: Weight of each view; they sum to one.
    """
    return torch.cat([z * w.sqrt() for z, w in zip(views, weights, strict=True)], dim=1)


def _across(rows: Sequence[Tensor], k: int) -> list[Int[Tensor, "_ k"]]:
    """The neighbours of every row in the other domain."""
    return [nearest(z, other, min(k, len(other)))[0] for z, other in zip(rows, reversed(rows), strict=True)]


def _shared(one: Int[Tensor, "n k"], other: Int[Tensor, "n k"]) -> Float[Tensor, ""]:
    """Share of neighbours that two lists have in common."""
    return (one[:, :, None] == other[:, None]).any(dim=2).float().mean()
