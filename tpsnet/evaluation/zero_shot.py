r"""The metrics of zero-shot sketch-based retrieval: mAP@all, mAP@k and Prec@k, in three definitions.

The field's code bases print the same names for different numbers. With relevance :math:`rel_q(r)` at rank r,
:math:`n_q` relevant items in the gallery and precision :math:`p_q(r)`:

.. math::
    AP_q@k = \frac{1}{d_q} \sum_{r \le k :\, rel_q(r)} \tilde p_q(r), \qquad
    Prec_q@k = \frac1k \sum_{r \le k} rel_q(r)

=============  ===============================================  ============================
mode           :math:`\tilde p_q(r)`                            :math:`d_q`
=============  ===============================================  ============================
``voc_minR``   :math:`\max_{r \le r' \le k} p_q(r')`            :math:`\min(k, n_q)`
``hits``       :math:`p_q(r)`                                   hits among the first k
``strict``     :math:`p_q(r)`                                   :math:`\min(k, n_q)`
=============  ===============================================  ============================

``voc_minR`` is what the code of SAKE (ICCV 2019) and AMA computes (the interpolated area of Pascal VOC),
``hits`` that of ProS (CVPR 2024) and UCDR-Adapter; under it a query whose only hit comes first scores 1.
mAP@all has k = the gallery and :math:`d_q = n_q` in all three. Means run over the queries with
:math:`n_q > 0`. Ours differs: no loop over queries; a k beyond the gallery is refused, where SAKE divides by
the gallery's size and ProS fails.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float64, Int
from torch import Tensor

from tpsnet.evaluation.metrics import check_pair, pair_facts, precision_at_hits
from tpsnet.evaluation.protocol import ProtocolCard
from tpsnet.evaluation.rank import iter_rankings
from tpsnet.types import Embeddings, InputError

RULES = {
    "voc_minR": "VOC interpolated; at k over min(k, n_q)",
    "hits": "not interpolated; at k over the hits in the first k",
    "strict": "not interpolated; at k over min(k, n_q)",
}


SETTING = "zero-shot"  # as tables and folders name it
SPLIT = "trained on seen classes, asked with unseen ones"


@dataclass(frozen=True)
class ZeroShotScores:
    """The numbers of one direction, in percent, with their protocol.

    Attributes:
        mean_ap: mAP@all.
        mean_ap_at: mAP@k for each k.
        precision: Prec@k for each k.
        card: how they were made; its ``mode`` is the definition.
    """

    mean_ap: float
    mean_ap_at: dict[int, float]
    precision: dict[int, float]
    card: ProtocolCard


def evaluate_zero_shot(
    query: Embeddings,
    gallery: Embeddings,
    ks: tuple[int, ...] = (100, 200),
    mode: str = "voc_minR",
    engine: str = "torch",
    chunk: int = 256,
    *,
    label_spaces: str = "closed",
    split: str = SPLIT,
    epoch: str = "last",
    seeds: tuple[int, ...] = (),
) -> ZeroShotScores:
    """Rank the gallery for every query and measure it, in memory O(chunk × gallery).

    Args:
        query: the pictures that ask.
        gallery: the pictures that are searched, of another domain.
        ks: depths.
        mode: which definition, see above.
        engine: see ``rank``.
        chunk: queries ranked at once; no number depends on it.
        label_spaces: see ``evaluate``, as the last three.
        split: for the card.
        epoch: for the card.
        seeds: for the card.

    Raises:
        InputError: an unknown mode, or what ``evaluate`` refuses.
    """
    if mode not in RULES:
        raise InputError(f"no mode {mode!r} of the zero-shot metrics; choose one of {', '.join(RULES)}")
    check_pair(query, gallery, ks)
    n_q, whole, at = [], [], {k: [] for k in ks}
    hits = dict.fromkeys(ks, 0)
    for part in iter_rankings(query, gallery, None, engine, chunk):
        asks = part.n_relevant > 0
        relevant, n_relevant = part.relevant[asks], part.n_relevant[asks]
        n_q.append(part.n_relevant)
        whole.append(average_precision_at(relevant, n_relevant, len(gallery), mode))
        for k in ks:
            at[k].append(average_precision_at(relevant, n_relevant, k, mode))
            hits[k] += int(relevant[:, :k].sum())
    n_q = torch.cat(n_q)
    card = ProtocolCard(
        **pair_facts(query, gallery, n_q),
        ks=ks,
        engine=engine,
        ties="in the gallery's order" if engine == "torch" else f"as {engine} returns them",
        denominator="100 · mean over queries of hits in the first k / k",
        plain_denominator="",
        mean_ap=f"mode {mode}: {RULES[mode]}",
        label_spaces=label_spaces,
        split=split,
        epoch=epoch,
        seeds=seeds,
    )
    answerable = len(query) - card.n_lone
    return ZeroShotScores(
        mean_ap=100 * torch.cat(whole).mean().item(),
        mean_ap_at={k: 100 * torch.cat(at[k]).mean().item() for k in ks},
        precision={k: 100 * hits[k] / (k * answerable) for k in ks},
        card=card,
    )


def average_precision_at(
    relevant: Bool[Tensor, "query gallery"], n_relevant: Int[Tensor, " query"], k: int, mode: str
) -> Float64[Tensor, " query"]:
    """AP@k of every row, in [0, 1].

    Args:
        relevant: relevance of the ranking, best first.
        n_relevant: relevant items in the gallery, positive.
        k: depth.
        mode: which definition.
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
