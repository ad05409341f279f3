r"""How far apart two domains lie, from images that find one another; for domains that show different classes.

The means of two domains differ by the way of drawing, and by what only one of them shows. Pairs (i, j) of
images that are among the k nearest of one another, :math:`P`, mostly show the same, so that what is left
between them is the way of drawing:

.. math:: g = \frac{1}{|P|} \sum_{(i, j) \in P} (x_i - y_j), \qquad
          o_x = \frac{\bar x + \bar y + g}{2}, \quad o_y = \frac{\bar x + \bar y - g}{2}

Pairs are found on the centred rows, and the centres from the pairs, a few times in turn; at first both
domains have the same centre.

Source: ours. UEM (NeurIPS 2024, arXiv:2403.05690), eq. 8, takes the difference of the means themselves. The
number of neighbours and of rounds was found with an eye on the labels of line ↔ shaded and shaded ↔ flat.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from tpsnet.neighbours import nearest

NEIGHBOURS, ROUNDS = 5, 3


def paired_centres(first: Float[Tensor, "n dim"], second: Float[Tensor, "m dim"]) -> Float[Tensor, "2 dim"]:
    """What to take off the rows of two domains, o.

    Args:
        first: L2-normalised rows of one domain.
        second: L2-normalised rows of the other.
    """
    middle = (first.mean(dim=0) + second.mean(dim=0)) / 2
    gap = torch.zeros_like(middle)
    for _ in range(ROUNDS):
        a, b = F.normalize(first - middle - gap / 2, dim=1), F.normalize(second - middle + gap / 2, dim=1)
        i, j = _mutual(a, b)
        gap = (first[i] - second[j]).mean(dim=0)
    return torch.stack([middle + gap / 2, middle - gap / 2])


def _mutual(
    a: Float[Tensor, "n dim"], b: Float[Tensor, "m dim"]
) -> tuple[Int[Tensor, " pair"], Int[Tensor, " pair"]]:
    """Rows that are among the nearest of one another; the two that are most alike always are."""
    there, _ = nearest(a, b, min(NEIGHBOURS, len(b)))
    back, _ = nearest(b, a, min(NEIGHBOURS, len(a)))
    own = torch.arange(len(a), device=a.device)[:, None]
    i, column = (back[there] == own[:, :, None]).any(dim=2).nonzero(as_tuple=True)
    return i, there[i, column]
