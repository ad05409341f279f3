r"""Precision at k in two conventions, and mean average precision over the whole gallery.

With :math:`n_q` items of the query's class in the gallery and :math:`h_q(k)` of them among the first k:

.. math::
    P@k = 100 \, \frac{\sum_q h_q(\min(k, n_q))}{\sum_q \min(k, n_q)}, \qquad
    P_{plain}@k = \frac{100}{|Q|} \sum_{q \in Q} \frac{h_q(k)}{k}, \qquad
    mAP = \frac{100}{|Q|} \sum_{q \in Q} \frac{1}{n_q} \sum_{r :\, rel_q(r)} \frac{h_q(r)}{r}

where Q are the queries with :math:`n_q > 0`. The first is the field's convention, that of the official code
of UCDIR (ECCV 2022), ProtoOT (AAAI 2024) and DG-UCDIR (ICCV 2023): a ratio of sums that never wants more
hits than there are. The two agree where every class has at least k images in the gallery, and part where
one has fewer. mAP is what UEM (NeurIPS 2024) calls mAP@All; its definition is not printed, so this reading is
INFERRED. Ours differs from the peers' code: ties are broken deterministically, queries without a match are
counted and named, and class ids come from one table. All is computed from the ranks of the relevant items
(``rank.relevant_ranks``), without a loop over queries, and the whole order of a gallery is never made.
"""

from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float64, Int
from torch import Tensor

from tpsnet.errors import InputError
from tpsnet.evaluation.detection import detection
from tpsnet.evaluation.rank import count_relevant, relevant_ranks
from tpsnet.neighbours import resolve_engine
from tpsnet.settings import Positive, check
from tpsnet.types import Embeddings

METRIC_VERSION = 2  # rises when a name of ``METRICS`` stands for another number


@dataclass(frozen=True)
class Facts:
    """What a measurement knows of the images and of the ranking.

    Attributes:
        query_domain: Name of the queries' domain.
        gallery_domain: Name of the gallery's domain.
        n_query: Number of queries, with and without a match.
        n_gallery: Number of images in the gallery.
        n_classes: Number of classes that are in both domains.
        n_unmatched: Number of queries without a match, that is, without a relevant item in the gallery.
        engine: Engine that ranked; no number depends on it.
        left_out: Depths k that were asked for and have no number: the gallery has fewer images.
    """

    query_domain: str
    gallery_domain: str
    n_query: int
    n_gallery: int
    n_classes: int
    n_unmatched: int
    engine: str
    left_out: tuple[int, ...] = field(default=(), kw_only=True)


@dataclass(frozen=True)
class Scores:
    """The numbers of one direction, in percent.

    Attributes:
        precision: P@k for each k, by the field's convention.
        plain_precision: Plain P@k for each k, that is, hits over k.
        mean_ap: Mean average precision (mAP).
        facts: Facts of the images and the ranking.
        detection: What ``detection`` returns; empty where no rule was applied.
    """

    precision: dict[int, float]
    plain_precision: dict[int, float]
    mean_ap: float
    facts: Facts
    detection: dict[str, float | None] = field(default_factory=dict)

    def metrics(self) -> dict[str, float | None]:
        """The values by their names in ``METRICS``."""
        return {
            "mAP": self.mean_ap,
            **{f"P@{k}": value for k, value in self.precision.items()},
            **{f"plain P@{k}": value for k, value in self.plain_precision.items()},
            **self.detection,
        }


def evaluate(
    query: Embeddings,
    gallery: Embeddings,
    ks: tuple[int, ...] = (1, 5, 15),
    engine: str = "auto",
    chunk: int = 256,
    device: torch.device | str | None = None,
) -> Scores:
    """Find the ranks of the relevant items of every query and measure them, in memory O(chunk × gallery).

    Queries without a match are left out of P@k and mAP: that is UEM's "shared-set" mAP@All. A rejection
    changes neither; it has its own numbers.

    Args:
        query: The queries.
        gallery: The gallery, of another domain.
        ks: Depths k of P@k, at least 1; those beyond the gallery are left out.
        engine: Engine that ranks, see ``rank``.
        chunk: Number of queries ranked at once; no number depends on it.
        device: Where to rank, by default where the gallery's vectors are; torch ranks on a GPU.

    Raises:
        InputError: Query and gallery are one domain or have no class in common, or the pair cannot be ranked
            (see ``iter_rankings``).
    """
    check_pair(query, gallery)
    ks, left_out = fitting(ks, gallery)
    device = torch.device(device or gallery.vectors.device)
    engine = resolve_engine(engine, None, len(gallery)) if device.type == "cpu" else "torch"
    n_q, capped, hits = count_relevant(query, gallery), dict.fromkeys(ks, 0), dict.fromkeys(ks, 0)
    average = torch.zeros(len(query), dtype=torch.float64, device=device)
    for part in relevant_ranks(query, gallery, engine, chunk, device):
        average[part.queries] = summed(precision_at(part.ranks, len(gallery))) / part.n_relevant
        for k in ks:
            first = part.n_relevant.clamp_max(k)[:, None]  # the first min(k, n_q) places
            capped[k] = capped[k] + (part.ranks <= first).sum()
            hits[k] = hits[k] + (part.ranks <= k).sum()
    matched = int((n_q > 0).sum())  # never zero: a pair without a common class is refused
    return Scores(
        precision={k: 100 * int(capped[k]) / int(n_q.clamp_max(k).sum()) for k in ks},
        plain_precision={k: 100 * int(hits[k]) / (k * matched) for k in ks},
        mean_ap=100 * average.sum().item() / matched,
        facts=facts_of(query, gallery, n_q, engine, left_out),
        detection={} if query.rejected is None else detection(query.rejected.cpu(), n_q == 0),
    )


def precision_at(ranks: Int[Tensor, "query relevant"], k: int) -> Float64[Tensor, "query relevant"]:
    """Precision at the rank of every relevant item, 0 beyond the first ``k`` places.

    Args:
        ranks: Ranks of each query's relevant items, rising, see ``RelevantRanks``.
        k: Number of results that count.
    """
    nth = torch.arange(1, ranks.shape[1] + 1, dtype=torch.float64, device=ranks.device)
    return (nth / ranks).masked_fill_(ranks > k, 0.0)


def summed(precision: Float64[Tensor, "query relevant"]) -> Float64[Tensor, " query"]:
    """Sum of each row, item after item, so that neither zeros at its end nor the chunk change a bit."""
    return precision.cumsum(dim=1)[:, -1]


def average_precision(relevant: Bool[Tensor, "query gallery"]) -> Float64[Tensor, " query"]:
    """Mean, over each row's relevant items, of the precision at their rank, in [0, 1].

    Args:
        relevant: The whole gallery's relevance, best first; a shortened ranking gives another number.

    Returns:
        One value per row; zero where nothing is relevant.
    """
    place = torch.arange(1, relevant.shape[1] + 1, dtype=torch.float64, device=relevant.device)
    precision = relevant.cumsum(dim=1) / place * relevant
    return summed(precision) / relevant.sum(dim=1).clamp_min(1)


def check_pair(query: Embeddings, gallery: Embeddings) -> None:
    """Refuse a pair that no metric can be computed on; see ``evaluate``."""
    if query.domain == gallery.domain:
        raise InputError(
            f"query and gallery are both {query.domain!r}, each query would find itself; choose two domains"
        )
    if not torch.isin(query.labels.cpu(), gallery.labels.cpu()).any():
        raise InputError(
            f"query {query.domain!r} and gallery {gallery.domain!r} have no class in common, nothing can be "
            "found; choose another pair"
        )


def fitting(ks: tuple[int, ...], gallery: Embeddings) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The depths that a gallery can fill, and those that it cannot; each once, in their order.

    Raises:
        InputError: a depth is below 1.
    """
    check("ks", tuple[Positive, ...], ks)
    once = tuple(dict.fromkeys(ks))
    return tuple(k for k in once if k <= len(gallery)), tuple(k for k in once if k > len(gallery))


def facts_of(
    query: Embeddings,
    gallery: Embeddings,
    n_relevant: Int[Tensor, " query"],
    engine: str,
    left_out: tuple[int, ...],
) -> Facts:
    """What was ranked, and by which engine."""
    return Facts(
        query_domain=query.domain,
        gallery_domain=gallery.domain,
        n_query=len(query),
        n_gallery=len(gallery),
        n_classes=len(query.labels.cpu()[n_relevant > 0].unique()),
        n_unmatched=int((n_relevant == 0).sum()),
        engine=engine,
        left_out=left_out,
    )
