r"""Instance contrast against a memory: each embedding finds its own slowly moving row among the batch's.

.. math:: L = -\frac1B \sum_i
          \log \frac{e^{\langle z_i, m_i\rangle/\tau}}{\sum_j e^{\langle z_i, m_j\rangle/\tau}}

Source: L_INCE of UEM (NeurIPS 2024, arXiv:2403.05690), eq. 6.
Ours differs: the mean over the batch, where the paper prints a sum; its other terms are means, and a sum
would weigh this one B times as much (INFERRED).
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def instance_contrast(
    z: Float[Tensor, "batch dim"], memory: Float[Tensor, "batch dim"], *, temperature: float
) -> Float[Tensor, ""]:
    """Cross-entropy of each row against the memory rows of the batch.

    Args:
        z: embeddings, unit rows.
        memory: the same pictures' memory rows, in the same order; unit rows, no gradient.
        temperature: of the softmax, positive.

    Returns:
        The mean over the batch; zero for a batch of one, which has no competitor.
    """
    own = torch.arange(len(z), device=z.device)
    return F.cross_entropy(z @ memory.T / temperature, own)
