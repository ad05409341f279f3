"""What every engine of a gallery does, and what they share: checks of what comes in, and exact scores.

An item's number is its place in the order of adding, from 0. Engines compute in float32, so they only
propose; the product in float64 of ``neighbours.cosines`` scores and orders, and equal scores stand in the
order of the numbers. An exact engine that may have missed an item at the edge is asked for more, up to
``MOST``. So exact engines give the numbers and scores of ``neighbours.searcher``.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor

from tpsnet.errors import InputError
from tpsnet.neighbours import best_first, cosines
from tpsnet.settings import Positive, check

CHUNK = 256  # queries at once
MARGIN = 16  # candidates beyond k, for near ties at the edge
MOST = 16_384  # candidates of one query, the most that a Milvus server returns
GATHERED = 2**23  # numbers of candidates' vectors at once: 32 MiB


@dataclass(frozen=True)
class Record:
    """What is known of an item.

    Attributes:
        domain: The domain that it was embedded as.
        name: Its class, by its folder.
        path: Its image file.
    """

    domain: str
    name: str
    path: str


@dataclass(frozen=True)
class Where:
    """Which items a search looks at.

    Attributes:
        domain: Those of a domain; of all where ``None``.
        classes: Those of some classes; of all where empty.
    """

    domain: str | None = None
    classes: tuple[str, ...] = ()

    def takes(self, record: Record) -> bool:
        """Whether an item is looked at."""
        return self.domain in (None, record.domain) and (not self.classes or record.name in self.classes)

    @property
    def everything(self) -> bool:
        """Whether all are."""
        return self.domain is None and not self.classes


Part = tuple[Tensor, Sequence[Record]]  # L2-normalised rows and what is known of each
# From float32 queries and n to the numbers and float32 scores of n candidates each, −1 where there are fewer.
Propose = Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]]


class Gallery(ABC):
    """Vectors with their records, behind an address.

    Attributes:
        address: As it was given.
        model: Identity of the model that made the vectors; empty while there are none.
        dim: Numbers of a vector; 0 while there are none.
    """

    address: str
    model: str = ""
    dim: int = 0

    @property
    @abstractmethod
    def engine(self) -> str:
        """Name of the engine with its settings."""

    @property
    @abstractmethod
    def exact(self) -> bool:
        """Whether it finds what an exhaustive search finds."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def known(self, paths: Sequence[str]) -> set[str]:
        """Those of some paths that the gallery holds."""

    @abstractmethod
    def records(self, ids: Sequence[int]) -> list[Record]:
        """What is known of some items, in their order."""

    @abstractmethod
    def vectors(self, ids: Sequence[int]) -> Float32[Tensor, "n dim"]:
        """Vectors of some items, in their order."""

    @abstractmethod
    def walk(self) -> Iterator[tuple[int, Record]]:
        """Every item, by rising number."""

    @abstractmethod
    def _append(self, parts: Iterator[Part], model: str) -> int:
        """Write checked parts; all of them count at the end, or none."""

    @abstractmethod
    def _search(self, queries: Float32[Tensor, "query dim"], k: int, where: Where) -> tuple[Tensor, Tensor]:
        """See ``search``."""

    def close(self) -> None:
        """Let go of files and connections."""
        return

    def __enter__(self) -> "Gallery":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def described(self) -> str:
        """Engine, whether it is exact, and the size: what a reader of a ranking has to know."""
        return f"{self.engine}, {'exact' if self.exact else 'approximate'}, {len(self):,} images"

    def add(self, parts: Iterable[Part], model: str) -> int:
        """Add vectors, a part at a time; what the gallery holds already, by its path, is passed over.

        All of them count at the end, or none: a build that is killed leaves the gallery as it was.

        Args:
            parts: L2-normalised rows, with a record for each.
            model: Identity of the model that made them.

        Returns:
            How many were added.

        Raises:
            InputError: the gallery holds vectors of another model or width, rows are not of unit length, or
                it cannot be written.
        """
        self.check_model(model)
        return self._append(self._checked(parts), model)

    def check_model(self, model: str) -> None:
        """Refuse a model that has not made this gallery; an empty one takes any."""
        if self.model and self.model != model:
            raise InputError(
                f"{self.address} holds vectors of {self.model}, not of {model}; choose another gallery, or "
                "remove this one"
            )

    def search(
        self,
        queries: Float[Tensor, "query dim"],
        k: int,
        *,
        domain: str | None = None,
        classes: Sequence[str] = (),
    ) -> tuple[Int[Tensor, "query n"], Float32[Tensor, "query n"]]:
        """Numbers and cosines of the ``k`` nearest items of each query, best first.

        Args:
            queries: L2-normalised rows.
            k: How many.
            domain: Only items of this domain.
            classes: Only items of these classes.

        Returns:
            Numbers and scores, in fewer than ``k`` columns where fewer items fit. An approximate engine may
            find fewer for some queries: their last numbers are −1, with a score of −∞.

        Raises:
            InputError: queries of another width, or the engine cannot answer.
        """
        check("k", Positive, k)
        if not len(self):
            raise InputError(f"{self.address} holds no images yet; fill it with tpsnet index")
        self._check_width(queries, self.dim)
        where, rows = Where(domain, tuple(classes)), queries.detach().cpu().float().contiguous()
        found = [self._search(some, k, where) for some in rows.split(CHUNK)]
        if not found:
            return torch.zeros(0, 0, dtype=torch.long), torch.zeros(0, 0)
        width = max(ids.shape[1] for ids, _ in found)
        return (
            torch.cat([_padded(ids, width, -1) for ids, _ in found]),
            torch.cat([_padded(scores, width, -torch.inf) for _, scores in found]),
        )

    def _checked(self, parts: Iterable[Part]) -> Iterator[Part]:
        dim = self.dim
        for vectors, records in parts:
            if vectors.ndim != 2 or not vectors.is_floating_point() or len(vectors) != len(records):
                raise InputError(
                    f"{self.address}: {vectors.dtype} {tuple(vectors.shape)} with {len(records)} records; "
                    "give a row of floating-point numbers for each record"
                )
            dim = dim or vectors.shape[1]
            self._check_width(vectors, dim)
            rows = vectors.detach().cpu().float().contiguous()
            if not bool(((rows.double().norm(dim=1) - 1).abs() < 1e-3).all()):  # NaN fails it too
                raise InputError(f"{self.address}: rows are not of unit length; normalise them, look for NaN")
            yield rows, records

    def _check_width(self, vectors: Tensor, dim: int) -> None:
        if vectors.shape[1] != dim:
            raise InputError(
                f"{self.address} holds vectors of {dim} numbers, not of {vectors.shape[1]}; embed with the "
                "model that made it, or choose another gallery"
            )

    def _new(
        self, part: Part, known: Callable[[Sequence[str]], set[str]] | None = None
    ) -> tuple[Tensor, list[Record]]:
        """The items of a part that the gallery does not hold, each once."""
        vectors, records = part
        held = (known or self.known)([record.path for record in records])
        first = {record.path: i for i, record in reversed(list(enumerate(records)))}
        rows = [i for i, record in enumerate(records) if record.path not in held and first[record.path] == i]
        return vectors[rows], [records[i] for i in rows]

    def _settled(
        self, queries: Float32[Tensor, "query dim"], k: int, propose: Propose
    ) -> tuple[Int[Tensor, "query n"], Float32[Tensor, "query n"]]:
        """The best of what an engine proposes, by exact scores; more is asked for where that may miss one."""
        # Twice what a float32 product of L2-normalised rows is off by at most, in any order of summation.
        noise = (self.dim + 2) * torch.finfo(torch.float32).eps
        n = min(k + MARGIN, max(MOST, k), len(self))
        width, last = min(k, n), max(MOST, n)
        ids = torch.full((len(queries), width), -1)
        scores, open_ = torch.full((len(queries), width), -torch.inf), torch.arange(len(queries))
        while len(open_):
            numbers, near = propose(queries[open_].numpy(), n)
            some_ids, some_scores = self._rescored(queries[open_], torch.from_numpy(numbers), width)
            ids[open_], scores[open_] = some_ids, some_scores
            # Where fewer came than were asked for, there are no more.
            full = torch.from_numpy(numbers[:, -1] >= 0)
            unsure = full & (torch.from_numpy(near[:, -1]) + noise >= some_scores[:, -1])
            more = min(8 * n, last, len(self))
            if not self.exact or more == n:
                break
            open_, n = open_[unsure], more
        fit = int((ids >= 0).sum(dim=1).max())
        return ids[:, :fit], scores[:, :fit]

    def _rescored(
        self, queries: Float32[Tensor, "query dim"], candidates: Int[Tensor, "query n"], k: int
    ) -> tuple[Int[Tensor, "query k"], Float32[Tensor, "query k"]]:
        """The ``k`` best candidates of each query by exact scores; a number of −1 is none."""
        # Ties then fall in the order of the numbers, and what is none stands last.
        candidates = candidates.long().masked_fill(candidates < 0, torch.iinfo(torch.long).max)
        candidates = candidates.sort(dim=1).values
        none = candidates == torch.iinfo(torch.long).max
        scores = torch.full(candidates.shape, -torch.inf)
        rows = max(1, GATHERED // (candidates.shape[1] * self.dim))
        for start in range(0, len(queries), rows):
            some = slice(start, start + rows)
            wanted, place = candidates[some][~none[some]].unique(return_inverse=True)
            vectors = self.vectors(wanted.tolist()) if len(wanted) else queries[:0]
            places = iter(place.split((~none[some]).sum(dim=1).tolist()))
            for q, own in enumerate(places, start):
                scores[q, : len(own)] = cosines(queries[q, None], vectors[own])[0]
        order = best_first(scores, k)
        return candidates.masked_fill(none, -1).gather(1, order), scores.gather(1, order)


def _padded(rows: Tensor, width: int, value: int | float) -> Tensor:
    missing = rows.new_full((len(rows), width - rows.shape[1]), value)
    return torch.cat([rows, missing], dim=1)
