r"""Instance contrast against a memory bank: each embedding picks its own slowly moving row in the batch.

.. math:: L = -\frac1B \sum_i
          \log \frac{e^{\langle z_i, m_{o(i)}\rangle/\tau}}{\sum_j e^{\langle z_i, m_j\rangle/\tau}}

Source: L_INCE of UEM (NeurIPS 2024, arXiv:2403.05690), eq. 6.
Ours differs: the mean over the batch, where the paper prints a sum; its other terms are means, and a sum
would weigh this one B times as much (INFERRED); and an image that a batch holds twice has one memory row,
o(i), so that it is not its own competitor.
"""

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


def instance_contrast(
    z: Float[Tensor, "batch dim"],
    memory: Float[Tensor, "row dim"],
    own: Int[Tensor, " batch"],
    *,
    temperature: float,
) -> Float[Tensor, ""]:
    """Cross-entropy of each row against the batch's rows of the memory bank.

    Args:
        z: Embeddings as L2-normalised rows.
        memory: Rows of the memory bank for the batch's images, each once; L2-normalised, without gradient.
        own: Index of each image's row in ``memory``.
        temperature: Softmax temperature; must be positive.

    Returns:
        The mean over the batch; zero for a single image, which has no competitor.
    """
    return F.cross_entropy(z @ memory.T / temperature, own)
