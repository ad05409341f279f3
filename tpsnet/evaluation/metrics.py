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
counted and named, and class ids come from one table.
"""

from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float64, Int
from torch import Tensor

from tpsnet.errors import InputError
from tpsnet.evaluation.detection import detection
from tpsnet.evaluation.rank import check_depth, iter_rankings
from tpsnet.neighbours import resolve_engine
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
    """

    query_domain: str
    gallery_domain: str
    n_query: int
    n_gallery: int
    n_classes: int
    n_unmatched: int
    engine: str


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
) -> Scores:
    """Rank the gallery for every query and measure it, in memory O(chunk × gallery).

    Queries without a match are left out of P@k and mAP: that is UEM's "shared-set" mAP@All. A rejection
    changes neither; it has its own numbers.

    Args:
        query: The queries.
        gallery: The gallery, of another domain.
        ks: Depths of P@k.
        engine: Engine that ranks, see ``rank``.
        chunk: Number of queries ranked at once; no number depends on it.

    Raises:
        InputError: Query and gallery are one domain or have no class in common, a k is larger than the
            gallery, or the pair cannot be ranked (see ``iter_rankings``).
    """
    check_pair(query, gallery, ks)
    engine = resolve_engine(engine, len(gallery), len(gallery))
    n_relevant, average, capped, hits = [], [], dict.fromkeys(ks, 0), dict.fromkeys(ks, 0)
    for part in iter_rankings(query, gallery, None, engine, chunk):
        n_relevant.append(part.n_relevant)
        average.append(average_precision(part.relevant))
        for k in ks:
            first = part.relevant[:, :k]
            counted = torch.arange(k) < part.n_relevant[:, None]  # the first min(k, n_q) places
            capped[k] += int((first & counted).sum())
            hits[k] += int(first.sum())
    n_q, average = torch.cat(n_relevant), torch.cat(average)
    matched = int((n_q > 0).sum())  # never zero: a pair without a common class is refused
    return Scores(
        precision={k: 100 * capped[k] / int(n_q.clamp_max(k).sum()) for k in ks},
        plain_precision={k: 100 * hits[k] / (k * matched) for k in ks},
        mean_ap=100 * average.sum().item() / matched,
        facts=facts_of(query, gallery, n_q, engine),
        detection={} if query.rejected is None else detection(query.rejected, n_q == 0),
    )


def average_precision(relevant: Bool[Tensor, "query gallery"]) -> Float64[Tensor, " query"]:
    """Mean, over each row's relevant items, of the precision at their rank, in [0, 1].

    Args:
        relevant: The whole gallery's relevance, best first; a shortened ranking gives another number.

    Returns:
        One value per row; zero where nothing is relevant.
    """
    row, _, precision = precision_at_hits(relevant)
    total = torch.zeros(len(relevant), dtype=torch.float64).index_add_(0, row, precision)
    return total / relevant.sum(dim=1).clamp_min(1)


def precision_at_hits(
    relevant: Bool[Tensor, "query k"],
) -> tuple[Int[Tensor, " hit"], Int[Tensor, " hit"], Float64[Tensor, " hit"]]:
    """For every hit, row by row, best first: its row, its number there (from 1), precision at its rank."""
    row, place = relevant.nonzero(as_tuple=True)
    found = relevant.sum(dim=1)
    before = found.cumsum(0) - found  # relevant items in the rows above
    nth = torch.arange(1, len(row) + 1) - before[row]
    return row, nth, nth.double() / (place + 1)


def check_pair(query: Embeddings, gallery: Embeddings, ks: tuple[int, ...]) -> None:
    """Refuse a pair that no metric can be computed on; see ``evaluate``."""
    if query.domain == gallery.domain:
        raise InputError(
            f"query and gallery are both {query.domain!r}, each query would find itself; choose two domains"
        )
    if not torch.isin(query.labels, gallery.labels).any():
        raise InputError(
            f"query {query.domain!r} and gallery {gallery.domain!r} have no class in common, nothing can be "
            "found; choose another pair"
        )
    for k in ks:
        check_depth(k, gallery)


def facts_of(query: Embeddings, gallery: Embeddings, n_relevant: Int[Tensor, " query"], engine: str) -> Facts:
    """What was ranked, and by which engine."""
    return Facts(
        query_domain=query.domain,
        gallery_domain=gallery.domain,
        n_query=len(query),
        n_gallery=len(gallery),
        n_classes=len(query.labels[n_relevant > 0].unique()),
        n_unmatched=int((n_relevant == 0).sum()),
        engine=engine,
    )
