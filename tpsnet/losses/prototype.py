r"""Prototype contrast: each embedding votes for its own prototype against all the others.

.. math:: L = -\frac{\sum_{ic} q_{ic} \log p_{ic}}{\sum_{ic} q_{ic}},
          \qquad p_{ic} = \mathrm{softmax}_c(\langle z_i, \mu_c\rangle / \tau)

Source: the prototype term of ProtoNCE (Li et al., ICLR 2021, arXiv:2005.04966). With one-hot targets it is
TPSNet's :math:`L_{pce}` (arXiv:2603.12711); that term's formula is INFERRED from the cluster memory of CCLNet
(ACM MM 2023), :math:`\tau = 0.05`.
Ours differs: one temperature for all prototypes, and soft targets, so that a doubtful label can count for
less than a sure one and an unlabelled row for nothing.
"""

from jaxtyping import Float
from torch import Tensor


def prototype_contrast(
    z: Float[Tensor, "batch dim"],
    prototypes: Float[Tensor, "classes dim"],
    targets: Float[Tensor, "batch classes"],
    *,
    temperature: float,
) -> Float[Tensor, ""]:
    """Cross-entropy between each row's targets and its softmax over the prototypes, averaged over the votes.

    Args:
        z: Embeddings as L2-normalised rows.
        prototypes: One L2-normalised row per class, e.g. the momentum mean of a cluster.
        targets: Non-negative weights. A row that sums to one is a full vote, a row that sums to less is a
            doubtful one, and a row of zeros abstains.
        temperature: Softmax temperature; must be positive.

    Returns:
        The mean cost of a vote; exactly zero, with zero gradient, when every row abstains.
    """
    log_p = (z @ prototypes.T / temperature).log_softmax(dim=1)
    votes = targets.sum().clamp_min(1e-12)  # no votes: 0 / 1e-12, not 0 / 0
    return -(targets * log_p).sum() / votes
