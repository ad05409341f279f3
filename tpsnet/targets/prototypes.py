"""One prototype per class: the mean direction of its members, which follows new ones slowly."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from tpsnet.errors import InputError


def class_means(
    z: Float[Tensor, "n dim"], labels: Int[Tensor, " n"], n_classes: int
) -> tuple[Float[Tensor, "class dim"], Int[Tensor, " class"]]:
    """Mean of each class's rows, L2-normalised.

    Args:
        z: Embeddings as L2-normalised rows.
        labels: Pseudo-labels from 0 to ``n_classes`` − 1.
        n_classes: Number of classes, which is the number of rows of the result.

    Returns:
        The means as L2-normalised rows (a class without members has a zero row), and the number of members.
    """
    sums, counts = class_sums(z, labels, n_classes)
    return F.normalize(sums, dim=1), counts


def momentum_update(
    prototypes: Float[Tensor, "class dim"],
    means: Float[Tensor, "class dim"],
    counts: Int[Tensor, " class"],
    momentum: float,
) -> Float[Tensor, "class dim"]:
    r"""Move prototypes towards the new means.

    .. math:: P_c \leftarrow \frac{m P_c + (1 - m) \bar z_c}{\lVert m P_c + (1 - m) \bar z_c\rVert}

    Source: TPSNet (arXiv:2603.12711), ``P ← m P + (1 − m) I'``. INFERRED: rows are L2-normalised,
    and each domain has its own set of prototypes. A class without members keeps its prototype, as does
    one whose mean cancels it.

    Args:
        prototypes: Old prototypes as L2-normalised rows.
        means: New means as L2-normalised rows, as ``class_means`` gives them.
        counts: Number of members of each class.
        momentum: Share of the old prototype that is kept, from 0 to 1.

    Returns:
        New L2-normalised rows; the arguments are left as they are.

    Raises:
        InputError: The momentum is outside [0, 1].
    """
    if not 0 <= momentum <= 1:
        raise InputError(f"prototype momentum is {momentum}; give 0 to 1")
    moved = momentum * prototypes + (1 - momentum) * means
    norm = moved.norm(dim=1, keepdim=True)
    usable = (counts > 0)[:, None] & (norm > 1e-6)
    return torch.where(usable, moved / norm.clamp_min(1e-6), prototypes)


def class_sums(
    z: Float[Tensor, "n dim"], labels: Int[Tensor, " n"], n_classes: int
) -> tuple[Float[Tensor, "class dim"], Int[Tensor, " class"]]:
    """Sum and number of each class's rows; a matrix product, so that a GPU repeats itself exactly."""
    member = F.one_hot(labels.long(), n_classes)
    return member.to(z.dtype).T @ z, member.sum(dim=0)
