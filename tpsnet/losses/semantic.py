r"""Semantic enhancement: every embedding is drawn to the prototypes, the likelier the more.

.. math:: L_{SEL} = \frac1B \sum_i \sum_c w_{ic} \lVert z_i - p_c\rVert_2,
          \qquad w_{ic} = \mathrm{softmax}_c(\langle z_i, p_c\rangle/\tau)

Source: UEM (NeurIPS 2024, arXiv:2403.05690), eq. 11. That the gradient also flows through the weights is
INFERRED. The formula is as printed; UEM hands it L2-normalised prototypes.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def semantic_enhancement(
    z: Float[Tensor, "batch dim"], prototypes: Float[Tensor, "classes dim"], *, temperature: float
) -> Float[Tensor, ""]:
    """Expected distance to the prototypes under each row's own softmax over them.

    Args:
        z: Embeddings as L2-normalised rows.
        prototypes: Unified prototypes of the embeddings' domain.
        temperature: Softmax temperature; must be positive.

    Returns:
        The mean over the batch.
    """
    weights = (z @ prototypes.T / temperature).softmax(dim=1)
    # Without the matrix product: exact near zero, where its root would be noise.
    distance = torch.cdist(z, prototypes, compute_mode="donot_use_mm_for_euclid_dist")
    return (weights * distance).sum(dim=1).mean()
