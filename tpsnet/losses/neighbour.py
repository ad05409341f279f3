r"""Contrast with a neighbour: each row finds the neighbour that was drawn for it among those of the batch.

With L2-normalised rows :math:`z_i`, the neighbour :math:`p_i` that was drawn for each, and the set
:math:`N_i` of the columns that are neighbours of i as well:

.. math:: L = -\frac1B \sum_i w_i \log \frac{e^{s_{ii}}}{\sum_{j \notin N_i \setminus \{i\}} e^{s_{ij}}},
          \qquad s_{ij} = \langle z_i, p_j\rangle / \tau

Source: InfoNCE (van den Oord et al., 2018, arXiv:1807.03748) with a neighbour as the positive, as NNCLR takes
it (Dwibedi et al., ICCV 2021). Ours differs: the other neighbours of a row that are in the batch are left out
of the sum, since they are positives that were not drawn; and a row whose neighbours are doubtful weighs less.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor


def neighbour_contrast(
    z: Float[Tensor, "batch dim"],
    drawn: Float[Tensor, "batch dim"],
    related: Bool[Tensor, "batch batch"],
    weights: Float[Tensor, " batch"],
    *,
    temperature: float,
) -> Float[Tensor, ""]:
    """Cross-entropy of each row against the drawn neighbours of the whole batch.

    Args:
        z: Embeddings as L2-normalised rows.
        drawn: The neighbour that was drawn for each row; L2-normalised.
        related: Whether a column's neighbour is a neighbour of the row too. The row's own counts in any case.
        weights: Weight w of each row, in [0, 1]; 0 leaves it out, though not as a competitor.
        temperature: Softmax temperature; must be positive.

    Returns:
        The mean of the weighted costs over the batch; zero where nothing competes.
    """
    own = torch.arange(len(z), device=z.device)
    competes = ~related
    competes[own, own] = True
    scores = (z @ drawn.T / temperature).masked_fill(~competes, -torch.inf)
    return (weights * F.cross_entropy(scores, own, reduction="none")).mean()
