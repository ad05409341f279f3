r"""A memory bank: one slowly moving row per image.

.. math:: m_i \leftarrow \beta m_i + (1 - \beta) f(x_i)

Source: UEM (NeurIPS 2024, arXiv:2403.05690), eq. 5. INFERRED: rows are L2-normalised after the step.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


@torch.no_grad()
def update_memory_bank(
    memory: Float[Tensor, "n dim"],
    index: Int[Tensor, " batch"],
    z: Float[Tensor, "batch dim"],
    momentum: float,
) -> None:
    """Move the rows ``index`` towards ``z``, in place; an image that comes twice counts by its last row.

    Args:
        memory: The memory bank, one L2-normalised row per image.
        index: Row of ``memory`` for each row of ``z``.
        z: New embeddings as L2-normalised rows.
        momentum: Share of the old row that is kept, from 0 to 1.
    """
    turn = torch.arange(len(index), device=memory.device)
    last = torch.full((len(memory),), -1, device=memory.device).scatter_reduce_(0, index, turn, "amax")
    kept = last[index] == turn  # an assignment to one row twice would be a race
    index, z = index[kept], z[kept].to(memory.dtype)
    memory[index] = F.normalize(momentum * memory[index] + (1 - momentum) * z, dim=1)
