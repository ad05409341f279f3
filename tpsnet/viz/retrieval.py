"""One model's retrieval, worked out as it is asked for: a click ranks the gallery for one query, not for all.

What every query would get (``Survey``) is computed once, when somebody asks for an order that needs it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Float64, Int
from PIL import Image
from torch import Tensor

from tpsnet.errors import InputError
from tpsnet.evaluation import RERANKINGS, average_precision
from tpsnet.neighbours import best_first, cosines, nearest

# From a text or an image, and the domain whose style it has, to one L2-normalised row.
Embedder = Callable[[str | Image.Image, str], Tensor]
CHUNK = 32  # queries ranked at once


@dataclass(frozen=True, eq=False)
class Question:
    """What is asked, and where.

    Attributes:
        gallery: The domain that is searched.
        domain: The domain of the image that is asked with; ``None`` for a text.
        index: Its position there; ``None`` for a text and for an image of one's own.
        given: The text, or one's own image.
    """

    gallery: str
    domain: str | None = None
    index: int | None = None
    given: str | Image.Image | None = None


@dataclass(frozen=True, eq=False)
class Answer:
    """A gallery ranked for one query, the whole or its first items.

    Attributes:
        items: Gallery positions, best first; the query itself is left out.
        scores: Cosine similarities.
        right: Which items have the query's class; ``None`` where the query or the gallery has no classes.
        rejected: Whether the model's answer is "no match", whatever ``items`` holds.
        relevant: Where ``items`` holds the first ones alone: how many of all have the query's class.
        by: The engine that ranked, where it is not the exact search of a model's embeddings.
    """

    items: Int[Tensor, " n"]
    scores: Float[Tensor, " n"]
    right: Bool[Tensor, " n"] | None
    rejected: bool = False
    relevant: int | None = None
    by: str = ""

    @property
    def whole(self) -> bool:
        """Whether ``items`` holds the whole gallery."""
        return self.relevant is None

    @property
    def n_relevant(self) -> int:
        """How many items have the query's class."""
        if self.right is None:
            return 0
        return int(self.right.sum()) if self.relevant is None else self.relevant

    @property
    def average_precision(self) -> float | None:
        """In percent; ``None`` where nothing is to be found, or not the whole gallery is ranked."""
        known = self.n_relevant and self.whole
        return 100 * float(average_precision(self.right[None])[0]) if known else None

    @cached_property
    def places(self) -> dict[int, int]:
        """The rank, from 1, of every item."""
        return {item: place for place, item in enumerate(self.items.tolist(), 1)}


@dataclass(frozen=True, eq=False)
class Survey:
    """What every query of a domain gets from a gallery.

    Attributes:
        average_precision: In percent; NaN where nothing is to be found, or nothing has a class.
        first: Gallery position of the first answer.
        right: Whether the first answer has the query's class, and is not withheld by "no match".
        margin: How far the first answer's cosine lies above the second's.
        occurrence: For each gallery item, how many queries have it among their first ``depth``.
        own: The best cosine with another image of the query's own domain, less the first answer's.
        own_right: Whether that image has the query's class.
    """

    average_precision: Float64[Tensor, " query"]
    first: Int[Tensor, " query"]
    right: Bool[Tensor, " query"]
    margin: Float[Tensor, " query"]
    occurrence: Int[Tensor, " gallery"]
    own: Float[Tensor, " query"]
    own_right: Bool[Tensor, " query"]


@dataclass(eq=False)
class Retrieval:
    """One model's embeddings of some domains.

    Attributes:
        domains: Embeddings by the domain's name.
        embed: What embeds texts and images of one's own; without it there are no such queries.
        ranks_all: Whether there are surveys and re-rankings.
    """

    domains: Mapping[str, Any]  # Embeddings, or what stands for them in a gallery
    embed: Embedder | None = None
    ranks_all: ClassVar[bool] = True
    _moved: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    _asked: dict[tuple, tuple[object, Tensor]] = field(default_factory=dict)

    def vectors(self, domain: str, reranking: str = "") -> Float[Tensor, "n dim"]:
        """A domain's rows, as a rule of ``evaluation.RERANKINGS`` leaves them where one is named."""
        if not reranking:
            return self.domains[domain].vectors
        if reranking not in self._moved:
            rows = [part.vectors for part in self.domains.values()]
            _, moved = RERANKINGS[reranking](rows[0][:0], rows)
            self._moved[reranking] = dict(zip(self.domains, moved, strict=True))
        return self._moved[reranking][domain]

    def prepared(self, reranking: str) -> bool:
        """Whether ``vectors`` answers at once."""
        return not reranking or reranking in self._moved

    def row(self, question: Question, reranking: str = "") -> Float[Tensor, "1 dim"]:
        """The vector of what is asked.

        Raises:
            InputError: The model cannot embed it.
        """
        if question.index is not None:
            return self.vectors(question.domain, reranking)[question.index, None]
        if self.embed is None:
            raise InputError(
                "this model cannot be asked with it: pass embedders={name: embedder(load_trained(run))}"
            )
        given, domain = question.given, question.domain or question.gallery
        key = (given if isinstance(given, str) else id(given), domain, reranking)
        if key not in self._asked:  # each list of a page asks anew
            row = self.embed(given, domain)
            if reranking:
                known = [part.vectors for part in self.domains.values()]
                row, _ = RERANKINGS[reranking](row, known)
            self._asked[key] = given, row  # the image is kept too, so that its id stays its own
        return self._asked[key][1]

    def answer(self, question: Question, reranking: str = "") -> Answer:
        """Rank the gallery for one query; scores and ties are those of ``evaluation.rank``.

        Raises:
            InputError: see ``row``.
        """
        others = self.vectors(question.gallery, reranking)
        return self._ranked(question, cosines(self.row(question, reranking), others)[0], reranking)

    def answers(self, domain: str, gallery: str, some: Sequence[int], reranking: str = "") -> list[Answer]:
        """``answer`` for some images of a domain, quicker than one by one."""
        rows = self.vectors(domain, reranking)[list(some)]
        scores = cosines(rows, self.vectors(gallery, reranking))
        questions = [Question(gallery, domain, index) for index in some]
        return [self._ranked(q, row, reranking) for q, row in zip(questions, scores, strict=True)]

    def _ranked(self, question: Question, scores: Float[Tensor, " gallery"], reranking: str) -> Answer:
        gallery = self.domains[question.gallery]
        items = best_first(scores[None], len(gallery))[0]
        rejected, label = False, None
        if question.index is not None:
            own = self.domains[question.domain]
            if question.domain == question.gallery:
                items = items[items != question.index]
            elif own.rejected is not None and not reranking:
                rejected = bool(own.rejected[question.index])
            if own.labelled and own.class_names == gallery.class_names:
                label = own.labels[question.index]
        right = None if label is None else gallery.labels[items] == label
        return Answer(items, scores[items], right, rejected)

    def survey(
        self,
        domain: str,
        gallery: str,
        reranking: str = "",
        *,
        depth: int,
        report: Callable[[float], None] = lambda share: None,
    ) -> Survey:
        """Rank for every query of a domain.

        Args:
            domain: The domain of the queries.
            gallery: The domain that is searched.
            reranking: A rule of ``evaluation.RERANKINGS``; empty for none.
            depth: Number of results that count as returned.
            report: Called with the share of the queries that is done.
        """
        own, found = self.domains[domain], self.domains[gallery]
        rows, others = self.vectors(domain, reranking), self.vectors(gallery, reranking)
        labelled = own.labelled and own.class_names == found.class_names
        if domain == gallery and len(own) == 1:
            raise InputError(f"{domain!r} has a single image, which has nothing to be compared with")
        columns: dict[str, list[Tensor]] = {"ap": [], "first": [], "right": [], "top": [], "second": []}
        occurrence = torch.zeros(len(found), dtype=torch.long)
        for start in range(0, len(rows), CHUNK):
            scores = cosines(rows[start : start + CHUNK], others)
            if domain == gallery:  # a query is not its own answer
                scores[torch.arange(len(scores)), torch.arange(start, start + len(scores))] = -torch.inf
            items = best_first(scores, len(found) - (domain == gallery))
            right = (found.labels[items] == own.labels[start : start + CHUNK, None]) & labelled
            best = scores.gather(1, items[:, :2])
            some = average_precision(right) * 100
            columns["ap"].append(torch.where(right.any(dim=1), some, torch.nan))
            columns["first"].append(items[:, 0])
            columns["right"].append(right[:, 0])
            columns["top"].append(best[:, 0])
            columns["second"].append(best[:, -1])
            occurrence += items[:, :depth].flatten().bincount(minlength=len(found))
            report(min(1.0, (start + CHUNK) / len(rows)))
        ap, first, right, top, second = (torch.cat(part) for part in columns.values())
        if own.rejected is not None and not reranking and domain != gallery:
            right &= ~own.rejected
        near, score = _nearest_other(rows)
        own_right = (own.labels[near] == own.labels) | (not own.labelled)
        return Survey(ap, first, right, top - second, occurrence, score - top, own_right)


def _nearest_other(rows: Float[Tensor, "n dim"]) -> tuple[Int[Tensor, " n"], Float[Tensor, " n"]]:
    """The nearest other row of each, and its cosine; −1 for a single row, which has none."""
    if len(rows) == 1:
        return torch.zeros(1, dtype=torch.long), torch.full((1,), -1.0)
    near, score = nearest(rows, rows, 1, itself=True)
    return near[:, 0], score[:, 0]
