"""Every metric name with its definition, and the protocol card: what makes two numbers comparable."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tpsnet.errors import InputError
from tpsnet.escape import escape_markdown
from tpsnet.evaluation.metrics import Facts, Scores
from tpsnet.evaluation.zero_shot import ZeroShotScores

# Every name means one number, in percent. Tables show their columns in this order.
METRICS = {
    "mAP": "mean over queries of the mean precision at the ranks of their relevant items; not interpolated",
    "mAP@k": "mean over queries of (Σ precision at the hits in the first k) / min(k, n_q); not interpolated",
    "mAP@k over hits": "mean over queries of the mean precision at the hits in the first k; not interpolated",
    "interpolated mAP": "mean over queries of the mean precision at the ranks of their relevant items, each "
    "raised to the best at its rank or deeper (Pascal VOC)",
    "interpolated mAP@k": "mean over queries of (Σ precision at the hits in the first k) / min(k, n_q), "
    "each raised to the best from its rank to k (Pascal VOC)",
    "P@k": "100 · Σ_q hits in the first min(k, n_q) / Σ_q min(k, n_q), of n_q relevant items in the gallery",
    "plain P@k": "100 · mean over queries of hits in the first k / k",
    "rejected without a match": "share of the queries without a match that are rejected",
    "kept with a match": "share of the queries with a match that are not rejected",
    "detection accuracy": "share of all queries that are rightly rejected or rightly kept",
    "H-score": "harmonic mean of “rejected without a match” and “kept with a match”",
}


Write = Callable[[str], str]  # how a text is written on a card


def _bold(text: str) -> str:
    return f"**{escape_markdown(text)}**"


def family(name: str) -> str:
    """The key in ``METRICS`` of a metric's name, e.g. ``"P@k"`` of ``"P@5"``.

    Raises:
        InputError: There is no such metric.
    """
    found = re.sub(r"@\d+", "@k", name)
    if found not in METRICS:
        raise InputError(f"no metric {name!r} is defined; choose one of {', '.join(METRICS)}")
    return found


def definition(name: str) -> str:
    """What a metric's name stands for; see ``family``."""
    return METRICS[family(name)]


def in_order(names: Iterable[str]) -> list[str]:
    """Metric names without doubles in the order of ``METRICS``, then by depth."""
    places = list(METRICS)

    def place(name: str) -> tuple[int, int]:
        depth = re.search(r"@(\d+)", name)
        return places.index(family(name)), int(depth[1]) if depth else 0

    return sorted(set(names), key=place)


@dataclass(frozen=True)
class ProtocolCard(Facts):
    """How a set of scores was made: what the measurement knows, then what it is told, then the rules.

    Attributes:
        metrics: Definition of each metric that the scores hold.
        label_spaces: Which classes were taken from which domain.
        split: Which images are used for what.
        epoch: Which epoch's weights were used.
        seeds: Seeds of the training runs behind the numbers; empty where nothing is random.
        rerankings: Rule of each re-ranking beside the embeddings as they are, by its name.
        similarity: What is compared, and how it is normalised.
        self_match: Whether a query can find itself.
        unmatched: What becomes of queries without a match in P@k and mAP.
        ties: Order of equal scores.
    """

    metrics: dict[str, str]
    label_spaces: str
    split: str
    epoch: str
    seeds: tuple[int, ...]
    rerankings: dict[str, str] = field(default_factory=dict)
    similarity: str = "cosine of L2-normalised embeddings"
    self_match: str = "impossible, two domains"
    unmatched: str = "left out of P@k and mAP"
    ties: str = "in the gallery's order"

    def markdown(self) -> str:
        """The card as a short list in Markdown, names in it escaped."""
        return "\n".join([self._images(_bold, escape_markdown), *self.rules()])

    def lines(self) -> list[str]:
        """The same list without markup, names in it as they are."""
        return [self._images(str, str), *self._rules(str, str)]

    def rules(self) -> list[str]:
        """The part of the card that does not speak of the images, as lines of a list in Markdown."""
        return self._rules(_bold, escape_markdown)

    def sizes(self) -> str:
        """How many images and classes there are."""
        return (
            f"{self.n_query} queries, {self.n_unmatched} without a match, gallery of {self.n_gallery}, "
            f"{self.n_classes} common classes"
        )

    def _images(self, head: Write, body: Write) -> str:
        return (
            f"- {head(f'{self.query_domain} → {self.gallery_domain}')}: {self.sizes()}; "
            f"label spaces {body(self.label_spaces)}"
        )

    def _rules(self, head: Write, body: Write) -> list[str]:
        named: dict[str, list[str]] = {}
        for name in in_order(self.metrics):
            named.setdefault(self.metrics[name], []).append(name)
        split = " (training set = query set = gallery set, transductive)" if self.split == "all" else ""
        deep = ", ".join(map(str, self.left_out))
        left_out = (
            [f"- {head('left out')}: k = {deep}, beyond the gallery of {self.n_gallery}"] if deep else []
        )
        return [
            *(f"- {head(', '.join(names))}: {body(text)}" for text, names in named.items()),
            *left_out,
            f"- {head('queries without a match')} (n_q = 0): {body(self.unmatched)}; "
            f"{head('ties')}: {body(self.ties)}",
            f"- {head('similarity')}: {body(self.similarity)}; "
            f"{head('self-match')}: {body(self.self_match)}; {head('engine')}: {body(self.engine)}, exact",
            *(f"- {head(f're-ranked by {name}')}: {body(rule)}" for name, rule in self.rerankings.items()),
            f"- {head('split')}: {body(self.split)}{split}; {head('epoch')}: {body(self.epoch)}; "
            f"{head('seeds')}: {', '.join(map(str, self.seeds)) or 'none'}",
        ]


def protocol_card(
    scores: Scores | ZeroShotScores,
    *,
    label_spaces: str,
    split: str = "all",
    epoch: str = "last",
    seeds: tuple[int, ...] = (),
    rerankings: dict[str, str] | None = None,
) -> ProtocolCard:
    """The card of these scores, made where the protocol is known; it defines the metrics that they hold.

    Args:
        scores: What was measured.
        label_spaces: Which classes were taken from which domain.
        split: Which images are used for what.
        epoch: Which epoch's weights made the embeddings.
        seeds: Seeds of the training runs; empty where nothing is random.
        rerankings: Rule of each re-ranking beside the embeddings as they are, by its name.
    """
    metrics = {name: definition(name) for name in scores.metrics()}
    return ProtocolCard(
        **vars(scores.facts),
        metrics=metrics,
        label_spaces=label_spaces,
        split=split,
        epoch=epoch,
        seeds=seeds,
        rerankings=rerankings or {},
    )
