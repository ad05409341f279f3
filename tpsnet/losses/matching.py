r"""Switchable nearest-neighbour matching across the domains.

With :math:`\delta(u, v) = (1 - \cos(u, v)) \lVert u - v\rVert`, an image's own cluster c as a row
:math:`\tilde p` of the other domain's unified prototypes P, its nearest row :math:`m^\ast` of that domain's
memory bank, and :math:`p^\ast` the row of P nearest to :math:`m^\ast`:

.. math:: L_{SN^2M} = -\frac1B \sum_i \log \frac{e^{\langle z_i, \tilde p_i\rangle/\tau}
          + [p_i^\ast = \tilde p_i]\, e^{\langle z_i, m_i^\ast\rangle/\tau}}
          {\sum_{p \in P} e^{\langle z_i, p\rangle/\tau} + \sum_j e^{\langle z_i, m_j\rangle/\tau}}

The neighbour counts only where its prototype is the image's own: this is the "switch".

Source: UEM (NeurIPS 2024, arXiv:2403.05690), eqs. 15–17. INFERRED: the sum over the other domain runs over
its memory bank. Ours differs: "the same prototype" is an equality of row numbers, never of floats. What is
matched with what comes from ``targets.neighbours``.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor


def switchable_matching(
    z: Float[Tensor, "batch dim"],
    prototypes: Float[Tensor, "row dim"],
    memory: Float[Tensor, "n dim"],
    row: Int[Tensor, " batch"],
    neighbour: Int[Tensor, " batch"],
    agree: Bool[Tensor, " batch"],
    *,
    temperature: float,
) -> Float[Tensor, ""]:
    """The loss of eq. 17, averaged over the batch.

    Args:
        z: Embeddings of one domain as L2-normalised rows.
        prototypes: The other domain's unified set, as L2-normalised rows without gradient.
        memory: The other domain's memory bank, as L2-normalised rows without gradient.
        row: Each image's own cluster, as a row of ``prototypes``.
        neighbour: Each image's nearest row of ``memory``.
        agree: Whether that neighbour's nearest prototype is ``row``.
        temperature: Temperature of all exponents; must be positive.
    """
    to_prototypes, to_memory = z @ prototypes.T / temperature, z @ memory.T / temperature
    everything = torch.cat([to_prototypes, to_memory], dim=1).logsumexp(dim=1)
    prototype = to_prototypes.gather(1, row[:, None])[:, 0]
    neighbour = to_memory.gather(1, neighbour[:, None])[:, 0]
    both = torch.logaddexp(prototype, neighbour)
    return (everything - torch.where(agree, both, prototype)).mean()


def nearest_neighbour_contrast(
    z: Float[Tensor, "batch dim"],
    memory: Float[Tensor, "n dim"],
    neighbour: Int[Tensor, " batch"],
    *,
    temperature: float,
) -> Float[Tensor, ""]:
    """What is left without prototypes: each row against the whole memory, its nearest neighbour being right.

    The search of UCDIR (ECCV 2022), UEM's ablation "without SN²M"; its form here is INFERRED.

    Args:
        z: Embeddings of one domain as L2-normalised rows.
        memory: The other domain's memory bank, as L2-normalised rows without gradient.
        neighbour: Each image's nearest row of ``memory``.
        temperature: Softmax temperature; must be positive.
    """
    return F.cross_entropy(z @ memory.T / temperature, neighbour)
