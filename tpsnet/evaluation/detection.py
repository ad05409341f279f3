r"""Open-set detection in numbers: were the private queries rejected, and the others not?

.. math:: H = \frac{2 a_p a_s}{a_p + a_s}

with :math:`a_p` the share of private queries that were rejected and :math:`a_s` that of shared queries that
were not. Source: UEM (NeurIPS 2024, arXiv:2403.05690) reports :math:`a_p` (INFERRED: it says "detection
accuracy for private queries"); the H-score is that of universal domain adaptation (Fu et al., ECCV 2020).
"""

from dataclasses import dataclass

from jaxtyping import Bool
from torch import Tensor


@dataclass(frozen=True)
class Detection:
    """In percent.

    Attributes:
        private_accuracy: private queries that were rejected; ``None`` where there are none.
        shared_accuracy: queries with a relevant item that were not rejected.
        accuracy: right verdicts over all queries.
        h_score: harmonic mean of the first two; ``None`` where there are no private queries.
    """

    private_accuracy: float | None
    shared_accuracy: float
    accuracy: float
    h_score: float | None


def detection(rejected: Bool[Tensor, " query"], private: Bool[Tensor, " query"]) -> Detection:
    """Compare verdicts with the truth.

    Args:
        rejected: the verdicts.
        private: queries without a relevant item in the gallery. There is at least one of the others.
    """
    right = (rejected == private).double()
    shared = 100 * right[~private].mean().item()
    total = 100 * right.mean().item()
    if not bool(private.any()):
        return Detection(None, shared, total, None)
    alone = 100 * right[private].mean().item()
    harmonic = 2 * alone * shared / (alone + shared) if alone + shared else 0.0
    return Detection(alone, shared, total, harmonic)
