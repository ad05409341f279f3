"""A gallery behind an address as the browser reads a model: its engine answers one query at a time.

Domain and class of every image are read once; vectors and paths stay where they are until they are asked for.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, overload

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tpsnet.errors import InputError
from tpsnet.galleries import Gallery
from tpsnet.types import UNLABELLED
from tpsnet.viz.retrieval import Answer, Question, Retrieval, Survey

DEPTH = 100  # results of a query that are looked at


@dataclass(frozen=True)
class Paths(Sequence[Path]):
    """Image files of some items, looked up as they are asked for."""

    gallery: Gallery
    ids: Int[Tensor, " n"]

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, at: int) -> Path: ...

    @overload
    def __getitem__(self, at: slice) -> list[Path]: ...

    def __getitem__(self, at: int | slice) -> Path | list[Path]:
        found = [Path(record.path) for record in self.gallery.records(self.ids[at].reshape(-1).tolist())]
        return found if isinstance(at, slice) else found[0]


@dataclass(frozen=True, eq=False)
class Catalogue:
    """The images of one domain of a gallery, with what the browser asks of ``Embeddings``.

    Attributes:
        domain: Name of the domain.
        gallery: The gallery.
        ids: Number of each image in the gallery, rising.
        labels: Class id of each image.
        class_names: The class table of the whole gallery.
        labelled: Whether every image has a class.
    """

    domain: str
    gallery: Gallery
    ids: Int[Tensor, " n"]
    labels: Int[Tensor, " n"]
    class_names: tuple[str, ...]
    labelled: bool
    rejected: None = field(default=None, init=False)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def paths(self) -> Paths:
        """Image files, in order."""
        return Paths(self.gallery, self.ids)


def catalogues(gallery: Gallery) -> dict[str, Catalogue]:
    """Every domain of a gallery, by its name, in the order of their first images.

    Raises:
        InputError: the gallery is empty.
    """
    ids: dict[str, list[int]] = {}
    labels: dict[str, list[int]] = {}
    names: dict[str, int] = {}
    for number, record in gallery.walk():
        ids.setdefault(record.domain, []).append(number)
        labels.setdefault(record.domain, []).append(names.setdefault(record.name, len(names)))
    if not ids:
        raise InputError(f"{gallery.address} holds no images yet; fill it with tpsnet index")
    order = sorted(names)
    places = torch.tensor([order.index(name) for name in names])
    found = {}
    for domain, own in labels.items():
        classed = places[own]
        bare = UNLABELLED[0] in names and bool((classed == places[names[UNLABELLED[0]]]).any())
        found[domain] = Catalogue(domain, gallery, torch.tensor(ids[domain]), classed, tuple(order), not bare)
    return found


@dataclass(eq=False)
class GalleryRetrieval(Retrieval):
    """A gallery's engine in the place of one model's embeddings.

    Attributes:
        gallery: The gallery.
        depth: Number of results of a query that are looked at.
    """

    gallery: Gallery = field(kw_only=True)
    depth: int = DEPTH
    ranks_all: ClassVar[bool] = False

    def vectors(self, domain: str, reranking: str = "") -> Float[Tensor, "n dim"]:
        """No model's rows are in memory.

        Raises:
            InputError: always.
        """
        raise InputError(f"{self.gallery.address} cannot be ranked as a whole; index it into memory for that")

    def row(self, question: Question, reranking: str = "") -> Float[Tensor, "1 dim"]:
        """See ``Retrieval.row``."""
        if question.index is None:
            return super().row(question, reranking)
        return self.gallery.vectors([int(self.domains[question.domain].ids[question.index])])

    def answer(self, question: Question, reranking: str = "") -> Answer:
        """The first ``depth`` of the gallery for one query."""
        return self._found([question], self.row(question, reranking))[0]

    def answers(self, domain: str, gallery: str, some: Sequence[int], reranking: str = "") -> list[Answer]:
        """``answer`` for some images of a domain, in one search."""
        if not some:
            return []
        rows = self.gallery.vectors(self.domains[domain].ids[list(some)].tolist())
        return self._found([Question(gallery, domain, index) for index in some], rows)

    def survey(
        self,
        domain: str,
        gallery: str,
        reranking: str = "",
        *,
        depth: int,
        report: Callable[[float], None] = lambda share: None,
    ) -> Survey:
        """An engine answers one query at a time.

        Raises:
            InputError: always.
        """
        raise InputError(f"{self.gallery.address} does not rank every query; choose another order")

    def _found(self, questions: list[Question], rows: Float[Tensor, "query dim"]) -> list[Answer]:
        searched = self.domains[questions[0].gallery]
        numbers, scores = self.gallery.search(rows, self.depth + 1, domain=searched.domain)
        return [
            self._answer(question, own[own >= 0], cosines[own >= 0])
            for question, own, cosines in zip(questions, numbers, scores, strict=True)
        ]

    def _answer(self, question: Question, numbers: Tensor, scores: Tensor) -> Answer:
        searched = self.domains[question.gallery]
        items = torch.searchsorted(searched.ids, numbers)
        label, itself = None, False
        if question.index is not None:
            own = self.domains[question.domain]
            itself = question.domain == question.gallery
            if itself:
                others = items != question.index
                items, scores = items[others], scores[others]
            if own.labelled and searched.labelled:
                label = own.labels[question.index]
        items, scores = items[: self.depth], scores[: self.depth]
        right = None if label is None else searched.labels[items] == label
        relevant = 0 if label is None else int((searched.labels == label).sum()) - itself
        return Answer(items, scores, right, relevant=relevant, by=self.gallery.described)
