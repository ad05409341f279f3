"""Records of a gallery on disk, in SQLite: they are written as a stream and filtered by an index.

Only records with a number below the size of the vectors' file count. So the records are replaced first and
the vectors last, and whatever a kill leaves in between is never taken for whole.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np

from tpsnet.errors import InputError
from tpsnet.galleries.base import Record, Where
from tpsnet.io import check_file

FORMAT = "1"
AT_ONCE = 500  # values of one statement
TABLES = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE items (
    id INTEGER PRIMARY KEY, domain BLOB NOT NULL, name BLOB NOT NULL, path BLOB NOT NULL UNIQUE
);
CREATE INDEX fitting ON items (domain, name);
"""


class Records:
    """The records in one file.

    Args:
        path: The file.
        mend: What an error message advises.
    """

    def __init__(self, path: Path, mend: str) -> None:
        self.path, self.mend = path, mend
        check_file(path)
        with self._told():
            self._base = _connected(path)
            facts = dict(self._base.execute("SELECT name, value FROM facts"))
        if facts.get("format") != FORMAT:
            raise InputError(
                f"{path} has format {facts.get('format')!r:.80}, this tpsnet reads {FORMAT}; {mend}"
            )
        self.model, self._facts = facts.get("model", ""), facts

    @classmethod
    def create(cls, path: Path, mend: str) -> "Records":
        """An empty file of records."""
        with closing(_connected(path)) as base, base:
            base.executescript(TABLES)
            base.execute("INSERT INTO facts VALUES ('format', ?)", (FORMAT,))
        return cls(path, mend)

    def close(self) -> None:
        """Let go of the file."""
        self._base.close()

    def known(self, paths: Sequence[str]) -> set[str]:
        """Those of some paths that are recorded."""
        return {_text(row[0]) for row in self._chosen("path", "path", map(_bytes, paths))}

    def of(self, ids: Sequence[int]) -> list[Record]:
        """The records of some numbers, in their order."""
        rows = self._chosen("id, domain, name, path", "id", dict.fromkeys(map(int, ids)))
        found = {row[0]: Record(*map(_text, row[1:])) for row in rows}
        try:
            return [found[int(i)] for i in ids]
        except KeyError as error:
            raise InputError(f"{self.path}: no record {error}; {self.mend}") from None

    def fitting(self, where: Where, size: int) -> np.ndarray:
        """Numbers below ``size`` of the items that a search looks at, rising."""
        query, values = "SELECT id FROM items WHERE id < ?", [size]
        if where.domain is not None:
            query, values = f"{query} AND domain = ?", [*values, _bytes(where.domain)]
        if where.classes:
            marks = ", ".join("?" * len(where.classes))
            query, values = f"{query} AND name IN ({marks})", [*values, *map(_bytes, where.classes)]
        with self._told():
            rows = (row[0] for row in self._base.execute(f"{query} ORDER BY id", values))
            return np.fromiter(rows, dtype=np.int64)

    def walk(self, size: int) -> Iterator[tuple[int, Record]]:
        """Every record with a number below ``size``."""
        with self._told():
            query = "SELECT id, domain, name, path FROM items WHERE id < ? ORDER BY id"
            for row in self._base.execute(query, (size,)):
                yield row[0], Record(*map(_text, row[1:]))

    def belong(self, size: int, last: str) -> bool:
        """Whether a file of so many vectors, the last one with this checksum, was written with them."""
        return self._facts.get(_last(size)) == last

    def forget(self, size: int) -> None:
        """Remove what a killed build has left: records without vectors."""
        with self._told():
            self._base.execute("DELETE FROM items WHERE id >= ?", (size,))

    def write(self, first: int, records: Sequence[Record]) -> None:
        """Append records, the first with this number; ``finish`` makes them last."""
        rows = ((i, _bytes(r.domain), _bytes(r.name), _bytes(r.path)) for i, r in enumerate(records, first))
        with self._told():
            self._base.executemany("INSERT INTO items VALUES (?, ?, ?, ?)", rows)

    def finish(self, size: int, model: str, last: str) -> None:
        """Keep what was written: so many records in all, by this model, the last vector's checksum."""
        with self._told():
            facts = [("model", model), (_last(size), last)]
            self._base.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", facts)
            self._base.commit()

    def _chosen(self, columns: str, key: str, values: Iterator | dict) -> Iterator[tuple]:
        wanted = list(values)
        for start in range(0, len(wanted), AT_ONCE):
            some = wanted[start : start + AT_ONCE]
            marks = ", ".join("?" * len(some))
            with self._told():
                yield from self._base.execute(f"SELECT {columns} FROM items WHERE {key} IN ({marks})", some)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Errors of SQLite in one line."""
        try:
            yield
        except sqlite3.Error as error:
            raise InputError(f"{self.path}: {error}; {self.mend}") from None


def _connected(path: Path) -> sqlite3.Connection:
    """A connection without a journal: only a copy is written to, and a kill would leave two files of it."""
    base = sqlite3.connect(path, check_same_thread=False)
    base.execute("PRAGMA journal_mode = OFF")
    return base


def _last(size: int) -> str:
    return f"last of {size}"


def _bytes(text: str) -> bytes:
    """A name as bytes, also one that is no UTF-8 on the disk."""
    return text.encode("utf-8", "surrogateescape")


def _text(stored: bytes) -> str:
    return bytes(stored).decode("utf-8", "surrogateescape")
