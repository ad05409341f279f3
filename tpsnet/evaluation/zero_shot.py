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
Their Prec@k is plain P@k. Ours differs: no loop over queries; a k beyond the gallery is left out, where SAKE
divides by the gallery's size and ProS fails.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float64, Int
from torch import Tensor

from tpsnet.errors import InputError
from tpsnet.evaluation.metrics import Facts, check_pair, facts_of, fitting, precision_at, summed
from tpsnet.evaluation.rank import count_relevant, relevant_ranks
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
    device: torch.device | str | None = None,
) -> ZeroShotScores:
    """Find the ranks of the relevant items of every query and measure them, in memory O(chunk × gallery).

    Args:
        query: The queries.
        gallery: The gallery, of another domain.
        ks: Depths k of mAP@k and of plain P@k, at least 1; those beyond the gallery are left out.
        mode: Definition that was used, see the module.
        engine: Engine that ranks, see ``rank``.
        chunk: Number of queries ranked at once; no number depends on it.
        device: Where to rank, by default where the gallery's vectors are; torch ranks on a GPU.

    Raises:
        InputError: The mode is unknown, or ``evaluate`` would refuse the pair.
    """
    if mode not in MODES:
        raise InputError(f"no mode {mode!r} of the zero-shot metrics; choose one of {', '.join(MODES)}")
    check_pair(query, gallery)
    ks, left_out = fitting(ks, gallery)
    device = torch.device(device or gallery.vectors.device)
    engine = resolve_engine(engine, None, len(gallery)) if device.type == "cpu" else "torch"
    n_q, hits = count_relevant(query, gallery), dict.fromkeys(ks, 0)
    depths = dict.fromkeys((*ks, len(gallery)))
    average = torch.zeros(len(depths), len(query), dtype=torch.float64, device=device)
    for part in relevant_ranks(query, gallery, engine, chunk, device):
        for row, k in zip(average, depths, strict=True):
            row[part.queries] = average_precision_at(part.ranks, part.n_relevant, k, mode)
        for k in ks:
            hits[k] = hits[k] + (part.ranks <= k).sum()
    facts = facts_of(query, gallery, n_q, engine, left_out)
    means = {k: 100 * row.cpu()[n_q > 0].mean().item() for row, k in zip(average, depths, strict=True)}
    return ZeroShotScores(
        mean_ap=means[len(gallery)],
        mean_ap_at={k: means[k] for k in ks},
        plain_precision={k: 100 * int(hits[k]) / (k * (len(query) - facts.n_unmatched)) for k in ks},
        mode=mode,
        facts=facts,
    )


def average_precision_at(
    ranks: Int[Tensor, "query relevant"], n_relevant: Int[Tensor, " query"], k: int, mode: str
) -> Float64[Tensor, " query"]:
    """AP@k of every row, in [0, 1].

    Args:
        ranks: Ranks of each query's relevant items, rising, see ``RelevantRanks``.
        n_relevant: Number of relevant items in the gallery; must be positive.
        k: Number of results that count.
        mode: Definition to use, see the module.
    """
    precision = precision_at(ranks, k)
    if mode == "voc_minR":  # precision peaks at hits, so the envelope needs no other rank
        precision = precision.flip(1).cummax(dim=1).values.flip(1)
    found = (ranks <= k).sum(dim=1).clamp_min(1)
    return summed(precision) / (found if mode == "hits" else n_relevant.clamp_max(k))
