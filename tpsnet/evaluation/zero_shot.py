r"""The metrics of zero-shot sketch-based retrieval: mAP, mAP@k and precision, in three definitions.

The field's code bases print the same names for different numbers. With relevance :math:`rel_q(r)` at rank r,
:math:`n_q` relevant items in the gallery and precision :math:`p_q(r)`:

.. math::
    AP_q@k = \frac{1}{d_q} \sum_{r \le k :\, rel_q(r)} \tilde p_q(r)

=============  ===============================================  ============================
mode           :math:`\tilde p_q(r)`                            :math:`d_q`
=============  ===============================================  ============================
``voc_minR``   :math:`\max_{r \le r' \le k} p_q(r')`            :math:`\min(k, n_q)`
``hits``       :math:`p_q(r)`                                   hits among the first k
``strict``     :math:`p_q(r)`                                   :math:`\min(k, n_q)`
=============  ===============================================  ============================

``voc_minR`` is what the code of SAKE (ICCV 2019) and AMA computes (the interpolated area of Pascal VOC),
``hits`` that of ProS (CVPR 2024) and UCDR-Adapter; under it a query whose only hit comes first scores 1.
mAP has k = the gallery and :math:`d_q = n_q` in all three. Means run over the queries with :math:`n_q > 0`.
Their Prec@k is plain P@k. Ours differs: no loop over queries; a k beyond the gallery is refused, where SAKE
divides by the gallery's size and ProS fails.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float64, Int
from torch import Tensor

from tpsnet.errors import InputError
from tpsnet.evaluation.metrics import Facts, check_pair, facts_of, precision_at_hits
from tpsnet.evaluation.rank import iter_rankings
from tpsnet.neighbours import resolve_engine
from tpsnet.types import Embeddings

# By mode: the names of its mAP over the whole gallery and of its mAP@k.
MODES = {
    "voc_minR": ("interpolated mAP", "interpolated mAP@{}"),
    "hits": ("mAP", "mAP@{} over hits"),
    "strict": ("mAP", "mAP@{}"),
}


@dataclass(frozen=True)
class ZeroShotScores:
    """The numbers of one direction, in percent.

    Attributes:
        mean_ap: Mean average precision (mAP) by the mode.
        mean_ap_at: The mAP@k for each k, by the mode.
        plain_precision: Plain P@k for each k, that is, hits over k.
        mode: Definition that was used, see the module.
        facts: Facts of the images and the ranking.
    """

    mean_ap: float
    mean_ap_at: dict[int, float]
    plain_precision: dict[int, float]
    mode: str
    facts: Facts

    def metrics(self) -> dict[str, float | None]:
        """The values by their names in ``METRICS``."""
        whole, at = MODES[self.mode]
        return {
            whole: self.mean_ap,
            **{at.format(k): value for k, value in self.mean_ap_at.items()},
            **{f"plain P@{k}": value for k, value in self.plain_precision.items()},
        }


def evaluate_zero_shot(
    query: Embeddings,
    gallery: Embeddings,
    ks: tuple[int, ...] = (100, 200),
    mode: str = "voc_minR",
    engine: str = "auto",
    chunk: int = 256,
) -> ZeroShotScores:
    """Rank the gallery for every query and measure it, in memory O(chunk × gallery).

    Args:
        query: The queries.
        gallery: The gallery, of another domain.
        ks: Depths of mAP@k and of plain P@k.
        mode: Definition that was used, see the module.
        engine: Engine that ranks, see ``rank``.
        chunk: Number of queries ranked at once; no number depends on it.

    Raises:
        InputError: The mode is unknown, or ``evaluate`` would refuse the pair.
    """
    if mode not in MODES:
        raise InputError(f"no mode {mode!r} of the zero-shot metrics; choose one of {', '.join(MODES)}")
    check_pair(query, gallery, ks)
    engine = resolve_engine(engine, len(gallery), len(gallery))
    n_q, whole, at = [], [], {k: [] for k in ks}
    hits = dict.fromkeys(ks, 0)
    for part in iter_rankings(query, gallery, None, engine, chunk):
        matched = part.n_relevant > 0
        relevant, n_relevant = part.relevant[matched], part.n_relevant[matched]
        n_q.append(part.n_relevant)
        whole.append(average_precision_at(relevant, n_relevant, len(gallery), mode))
        for k in ks:
            at[k].append(average_precision_at(relevant, n_relevant, k, mode))
            hits[k] += int(relevant[:, :k].sum())
    facts = facts_of(query, gallery, torch.cat(n_q), engine)
    return ZeroShotScores(
        mean_ap=100 * torch.cat(whole).mean().item(),
        mean_ap_at={k: 100 * torch.cat(at[k]).mean().item() for k in ks},
        plain_precision={k: 100 * hits[k] / (k * (len(query) - facts.n_unmatched)) for k in ks},
        mode=mode,
        facts=facts,
    )


def average_precision_at(
    relevant: Bool[Tensor, "query gallery"], n_relevant: Int[Tensor, " query"], k: int, mode: str
) -> Float64[Tensor, " query"]:
    """AP@k of every row, in [0, 1].

    Args:
        relevant: Relevance of the ranking, best first.
        n_relevant: Number of relevant items in the gallery; must be positive.
        k: Number of results that count.
        mode: Definition to use, see the module.
    """
    relevant = relevant[:, :k]
    row, nth, precision = precision_at_hits(relevant)
    found = relevant.sum(dim=1)
    if mode == "voc_minR" and len(row):
        # Precision peaks at hits, so the envelope needs no other rank: one short row of hits a query.
        peaks = torch.zeros(len(relevant), int(found.max()), dtype=torch.float64)
        peaks[row, nth - 1] = precision
        precision = peaks.flip(1).cummax(dim=1).values.flip(1)[row, nth - 1]
    total = torch.zeros(len(relevant), dtype=torch.float64).index_add_(0, row, precision)
    return total / (found.clamp_min(1) if mode == "hits" else n_relevant.clamp_max(k))
