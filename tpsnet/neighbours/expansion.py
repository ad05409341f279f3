"""Query expansion over several domains."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from tpsnet.neighbours.search import CHUNK, searcher


@torch.no_grad()
def expand(
    rows: Float[Tensor, "n dim"],
    domains: Sequence[Float[Tensor, "_ dim"]],
    k: int,
    power: float = 3.0,
    *,
    new: bool = False,
) -> Float[Tensor, "n dim"]:
    r"""Replace each row by the weighted mean of its ``k`` nearest rows in every domain.

    .. math:: \bar z_i = \sum_{d} \frac{s_{id}}{\lVert s_{id}\rVert},
              \qquad s_{id} = \sum_{j \in kNN_d(i)} \max(0, \langle z_i, z_j\rangle)^{\alpha} z_j

    Source: α-query expansion (Radenović et al., TPAMI 2019), here of the whole data set. Ours differs: all
    domains weigh the same, however far apart they lie. A row of one of the domains is its own nearest; a new
    one, which is of none, counts as a domain of its own.

    Args:
        rows: L2-normalised rows, e.g. those of one of the domains.
        domains: L2-normalised rows of the domains, each domain's mean removed.
        k: Number of neighbours in each domain; fewer where a domain is smaller.
        power: Exponent α of the similarities.
        new: Whether the rows are of none of the domains.

    Returns:
        L2-normalised rows in the same order.
    """
    searches = [(other, searcher(other, min(k, len(other)))) for other in domains]
    parts = []
    for some in rows.split(CHUNK):
        total = some.clone() if new else torch.zeros_like(some)
        for other, search in searches:
            index, similar = search(some)
            weights = similar.to(some.dtype).clamp_min(0) ** power
            total += F.normalize((weights[:, :, None] * other[index]).sum(dim=1), dim=1)
        parts.append(F.normalize(total, dim=1))
    return torch.cat(parts)


def query_expansion(
    both: Sequence[Float[Tensor, "_ dim"]], k: int, power: float = 3.0
) -> list[Float[Tensor, "_ dim"]]:
    """Every row of every domain expanded, see ``expand``.

    Args:
        both: L2-normalised rows of the domains, each domain's mean removed.
        k: Number of neighbours in each domain, the row itself included.
        power: Exponent α of the similarities.
    """
    return [expand(rows, both, k, power) for rows in both]
