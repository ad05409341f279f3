"""The exact gallery in memory: the default, and what the other engines are held to."""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float32
from torch import Tensor

from tpsnet.galleries.base import Gallery, Part, Record, Where
from tpsnet.neighbours import searcher


class MemoryGallery(Gallery):
    """Vectors as one tensor; gone with the process.

    Args:
        address: The address, ``memory``.
    """

    engine, exact = "memory", True

    def __init__(self, address: str = "memory") -> None:
        self.address = address
        self._vectors, self._records, self._paths = torch.zeros(0, 0), list[Record](), set[str]()

    def __len__(self) -> int:
        return len(self._records)

    def known(self, paths: Sequence[str]) -> set[str]:
        """See ``Gallery.known``."""
        return self._paths & set(paths)

    def records(self, ids: Sequence[int]) -> list[Record]:
        """See ``Gallery.records``."""
        return [self._records[i] for i in ids]

    def vectors(self, ids: Sequence[int]) -> Float32[Tensor, "n dim"]:
        """See ``Gallery.vectors``."""
        return self._vectors[list(ids)]

    def walk(self) -> Iterator[tuple[int, Record]]:
        """See ``Gallery.walk``."""
        return enumerate(self._records)

    def _append(self, parts: Iterator[Part], model: str) -> int:
        vectors, records, before = [], list[Record](), self._paths
        self._paths = set(before)
        try:
            for part in parts:
                some, fresh = self._new(part)
                vectors.append(some)
                records += fresh
                self._paths |= {record.path for record in fresh}
        except BaseException:
            self._paths = before
            raise
        if records:
            self._vectors = torch.cat([self._vectors] * bool(len(self)) + vectors)
            self._records, self.model, self.dim = self._records + records, model, self._vectors.shape[1]
        return len(records)

    def _search(self, queries: Float32[Tensor, "query dim"], k: int, where: Where) -> tuple[Tensor, Tensor]:
        if where.everything:
            return searcher(self._vectors, min(k, len(self)))(queries)
        taken = torch.tensor([i for i, record in enumerate(self._records) if where.takes(record)]).long()
        if not len(taken):
            return torch.zeros(len(queries), 0, dtype=torch.long), torch.zeros(len(queries), 0)
        ids, scores = searcher(self._vectors[taken], min(k, len(taken)))(queries)
        return taken[ids], scores
