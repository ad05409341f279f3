r"""Open-set detection in numbers: were the queries without a match rejected, and the others kept?

.. math:: H = \frac{2 a_r a_k}{a_r + a_k}

with :math:`a_r` the share of queries without a match that were rejected and :math:`a_k` that of the others
that were kept. Source: UEM (NeurIPS 2024, arXiv:2403.05690) reports :math:`a_r` (INFERRED: it says "detection
accuracy for private queries"); the H-score is that of universal domain adaptation (Fu et al., ECCV 2020).
"""

from jaxtyping import Bool
from torch import Tensor


def detection(rejected: Bool[Tensor, " query"], unmatched: Bool[Tensor, " query"]) -> dict[str, float | None]:
    """Compare rejections with the truth.

    Args:
        rejected: Which queries were rejected.
        unmatched: Queries without a relevant item in the gallery. There is at least one of the others.

    Returns:
        Percent by the names in ``METRICS``; the first and last are ``None`` where all queries have a match.
    """
    right = (rejected == unmatched).double()
    kept, total = (100 * x.mean().item() for x in (right[~unmatched], right))
    away = harmonic = None
    if bool(unmatched.any()):
        away = 100 * right[unmatched].mean().item()
        harmonic = 2 * away * kept / (away + kept) if away + kept else 0.0
    return {
        "rejected without a match": away,
        "kept with a match": kept,
        "detection accuracy": total,
        "H-score": harmonic,
    }
