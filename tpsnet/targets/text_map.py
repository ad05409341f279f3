r"""A linear map from one domain to the other, in closed form, from texts alone.

With :math:`T_A, T_B` the embeddings of one vocabulary in the words of either domain ("a line drawing of a
dog", "a photo of a dog"), one row per word:

.. math::
    W_{ridge} = (T_A^\top T_A + \lambda I)^{-1} (T_A^\top T_B + \lambda I), \qquad
    W_{Procrustes} = \arg\min_{W^\top W = I} \lVert T_A W - T_B\rVert

An embedding z of domain A then queries the gallery of domain B as :math:`z W / \lVert z W\rVert`.

Source: CLAIR (BMVC 2025, arXiv:2508.12290) states a closed-form cross-domain map from CLIP's text embeddings;
its formula is INFERRED, ridge regression and orthogonal Procrustes (Schönemann 1966) being the two that a
linear map suggests. Ours differs: where the vocabulary says nothing, both maps leave a vector as it is
(plain ridge regression would send it to zero); all is solved in float64.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Float64
from torch import Tensor

from tpsnet.errors import InputError


def ridge_map(
    start: Float[Tensor, "word dim"], goal: Float[Tensor, "word dim"], penalty: float
) -> Float64[Tensor, "dim dim"]:
    r"""The least-squares map, drawn towards the identity.

    Args:
        start: Embeddings :math:`T_A` of the texts of the domain that vectors come from.
        goal: Embeddings :math:`T_B` of the same words in the texts of the other domain.
        penalty: Ridge penalty :math:`\lambda`; must be positive. The larger, the nearer to the identity.

    Raises:
        InputError: There is no word, the texts are not finite, or the penalty is not positive.
    """
    if not penalty > 0:
        raise InputError(f"the ridge penalty is {penalty}; give a positive one")
    start, goal = _checked(start, goal)
    still = penalty * torch.eye(start.shape[1], dtype=torch.float64, device=start.device)
    return torch.linalg.solve(start.T @ start + still, start.T @ goal + still)


def procrustes_map(
    start: Float[Tensor, "word dim"], goal: Float[Tensor, "word dim"], rank: int | None = None
) -> Float64[Tensor, "dim dim"]:
    r"""The rotation (or reflection) that fits best: norms and cosines within a domain stay as they are.

    With :math:`U S V^\top = T_A^\top T_B`, the first ``rank`` directions turn from :math:`U_r` to
    :math:`V_r`; on the rest the map is the orthogonal one that is nearest to the identity.

    Args:
        start: Embeddings :math:`T_A`, as for ``ridge_map``.
        goal: Embeddings :math:`T_B`, as for ``ridge_map``.
        rank: Number of directions that the texts decide; by default all that they span.

    Raises:
        InputError: The rank is below one or above what the vocabulary spans, or ``ridge_map`` would refuse
            the texts.
    """
    start, goal = _checked(start, goal)
    u, s, vt = torch.linalg.svd(start.T @ goal)
    spanned = int((s > s[0] * max(start.shape) * torch.finfo(torch.float64).eps).sum())
    rank = spanned if rank is None else rank
    if not 1 <= rank <= spanned:
        raise InputError(
            f"a map of rank {rank} from {len(start)} words that span {spanned} directions; "
            f"choose a rank from 1 to {spanned}, or a larger vocabulary"
        )
    v = vt.T
    turned = u[:, :rank] @ v[:, :rank].T
    rest_u, rest_v = u[:, rank:], v[:, rank:]
    # Of all orthogonal maps from one rest to the other, the polar factor is the nearest to the identity.
    p, _, qt = torch.linalg.svd(rest_u.T @ rest_v)
    return turned + rest_u @ p @ qt @ rest_v.T


def apply_map(vectors: Float[Tensor, "n dim"], to_goal: Float[Tensor, "dim dim"]) -> Float[Tensor, "n dim"]:
    """Map vectors to L2-normalised rows of z W, in their own precision.

    Args:
        vectors: The vectors z as L2-normalised rows.
        to_goal: The map W.
    """
    z = vectors.double()
    return F.normalize(z @ to_goal.to(z), dim=1).to(vectors.dtype)


def _checked(start: Tensor, goal: Tensor) -> tuple[Tensor, Tensor]:
    if not len(start):
        raise InputError("a cross-domain map from an empty vocabulary; give it some class names")
    if not bool(start.isfinite().all() and goal.isfinite().all()):
        raise InputError("text embeddings hold NaN or infinity; look at the CLIP they come from")
    return start.double(), goal.double()
