"""Query expansion over two domains."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


@torch.no_grad()
def query_expansion(
    both: Sequence[Float[Tensor, "_ dim"]], k: int, power: float = 3.0, chunk: int = 2048
) -> list[Float[Tensor, "_ dim"]]:
    r"""Replace each row by the weighted mean of its ``k`` nearest rows in either domain.

    .. math:: \bar z_i = \sum_{d} \frac{s_{id}}{\lVert s_{id}\rVert},
              \qquad s_{id} = \sum_{j \in kNN_d(i)} \max(0, \langle z_i, z_j\rangle)^{\alpha} z_j

    Source: α-query expansion (Radenović et al., TPAMI 2019), here of the whole data set. Ours differs: both
    domains weigh the same, however far apart they lie.

    Args:
        both: L2-normalised rows of two domains, each domain's mean removed.
        k: Number of neighbours in each domain, the row itself included; fewer where a domain is smaller.
        power: Exponent α of the similarities.
        chunk: Number of rows at a time; memory is of the order of chunk × rows of a domain.

    Returns:
        L2-normalised rows in the same order.
    """
    expanded = []
    for z in both:
        parts = []
        for rows in z.split(chunk):
            total = torch.zeros_like(rows)
            for other in both:
                similar, index = (rows @ other.T).topk(min(k, len(other)), dim=1)
                weights = similar.clamp_min(0) ** power
                total += F.normalize((weights[:, :, None] * other[index]).sum(dim=1), dim=1)
            parts.append(F.normalize(total, dim=1))
        expanded.append(torch.cat(parts))
    return expanded
