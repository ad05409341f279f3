"""A gallery in Milvus: Milvus Lite in a folder on this machine, or a server or cluster at an address.

A collection holds a row an image: number, vector, domain, class and path. The row with the number −1 is the
gallery's own: the identity of the model and how many rows count. It is written last, so rows beyond it are of
a build that was killed: no search sees them, and the next build removes them. One process at a time may add.

Milvus Lite runs in this process and listens on a port of this machine alone. A server's name and password are
in ``TPSNET_MILVUS_TOKEN``.
"""

import json
import logging
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from tpsnet.errors import InputError
from tpsnet.galleries.base import MARGIN, MOST, Gallery, Part, Record, Where
from tpsnet.io import parse_json, validated
from tpsnet.paths import remove, user_path
from tpsnet.settings import Clusters, Positive, Settings

OWN = -1  # number of the row that is the gallery's own
FORMAT = 1
TOKEN = "TPSNET_MILVUS_TOKEN"
ANSWER = 30.0  # s that a server may take for an answer
# No pings while a call takes long: Milvus Lite ends the connection after a few.
QUIET = {"grpc.keepalive_time_ms": 2**31 - 1, "grpc.keepalive_permit_without_calls": False}
ROWS = 1000  # rows of one message
LONGEST_NAME, LONGEST_PATH = 2048, 16_384  # bytes; every character of a file's name may need two
FIELDS = ("domain", "name", "path")
_USERS: Counter[Path] = Counter()  # open galleries of this process in each folder of Milvus Lite


@dataclass(frozen=True)
class MilvusOptions(Settings):
    """Options in the address.

    Attributes:
        collection: Name of the collection.
        index: ``flat`` compares every vector; ``ivf`` those of some lists; ``hnsw`` walks a graph. By default
            what the collection has.
        lists: Number of lists of a new ``ivf``.
        probes: Number of lists that a query looks into.
        ef: Number of candidates that a query keeps on its walk through ``hnsw``.
    """

    collection: str = "tpsnet"
    index: Literal["flat", "ivf", "hnsw"] | None = None
    lists: Clusters = 1024
    probes: Positive = 16
    ef: Positive = 128

    def __post_init__(self) -> None:
        super().__post_init__()
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,254}", self.collection):
            raise InputError(f"collection = {self.collection!r}: give letters, digits and _, a letter first")


@dataclass(frozen=True)
class Head:
    """What the gallery's own row says, as JSON in the field of its path."""

    model: str
    size: int
    index: Literal["flat", "ivf", "hnsw"]
    lists: int
    format: Literal[1] = FORMAT


class MilvusGallery(Gallery):
    """A collection, or the place for one.

    Args:
        address: The address, for messages.
        place: The folder of Milvus Lite, which ends in .db, or the address of the server.
        options: The options of the address.
    """

    def __init__(self, address: str, place: str, options: MilvusOptions) -> None:
        self.address, self.options, self.name = address, options, options.collection
        self._pymilvus = _pymilvus(place)
        self._head = Head("", 0, options.index or "flat", options.lists)
        self._lite = user_path(place).absolute() if place.endswith(".db") else None
        self._client: Any = None
        self._new_place = False
        try:
            self._client = self._connected(place)
            self._open()
        except BaseException:
            self.close()
            raise

    @property
    def engine(self) -> str:
        """See ``Gallery.engine``."""
        index, settings = self._head.index, ""
        if index == "ivf":
            settings = f", {min(self.options.probes, self._head.lists)} of {self._head.lists} lists"
        elif index == "hnsw":
            settings = f", ef {self.options.ef}"
        return f"Milvus {index.upper() if index != 'flat' else index}{settings}"

    @property
    def exact(self) -> bool:
        """See ``Gallery.exact``."""
        return self._head.index == "flat"

    def __len__(self) -> int:
        return self._head.size

    def known(self, paths: Sequence[str]) -> set[str]:
        """See ``Gallery.known``."""
        found: set[str] = set()
        for start in range(0, len(paths) if len(self) else 0, ROWS):
            some = ", ".join(map(_literal, paths[start : start + ROWS]))
            fits = f"{_below(len(self))} and path in [{some}]"
            with self._told():
                rows = self._client.query(self.name, fits, output_fields=["path"])
            found |= {_text(row["path"]) for row in rows}
        return found

    def records(self, ids: Sequence[int]) -> list[Record]:
        """See ``Gallery.records``."""
        return [_record(row) for row in self._rows(ids, FIELDS)]

    def vectors(self, ids: Sequence[int]) -> Float32[Tensor, "n dim"]:
        """See ``Gallery.vectors``."""
        rows = [np.asarray(row["vector"], dtype=np.float32) for row in self._rows(ids, ("vector",))]
        return torch.from_numpy(np.stack(rows)) if rows else torch.zeros(0, self.dim)

    def walk(self) -> Iterator[tuple[int, Record]]:
        """See ``Gallery.walk``."""
        for start in range(0, len(self), ROWS):
            ids = range(start, min(start + ROWS, len(self)))
            yield from zip(ids, self.records(ids), strict=True)

    def close(self) -> None:
        """See ``Gallery.close``."""
        client, self._client = self._client, None
        if client is None:
            return
        with suppress(Exception):
            client.close()
        if self._lite:
            _USERS[self._lite] -= 1
            if not _USERS[self._lite]:  # other processes may open it now
                from milvus_lite.server_manager import server_manager_instance

                server_manager_instance.release_server(str(self._lite))
                if self._new_place and not len(self):  # of a name that was misspelt, say
                    remove(self._lite)

    # Reading.

    def _connected(self, place: str) -> Any:
        how = {"timeout": ANSWER, "grpc_options": QUIET, "dedicated": True}
        if self._lite is None:
            with self._told("start the server, or mend the address"):
                return self._pymilvus.MilvusClient(place, token=os.environ.get(TOKEN, ""), **how)
        if self._lite.exists() and not self._lite.is_dir():
            raise InputError(f"{self._lite} is a file, where Milvus Lite has a folder; choose another name")
        self._new_place = not self._lite.exists()
        with self._told(f"end the other process that has {self._lite} open, or choose another name"):
            self._lite.parent.mkdir(parents=True, exist_ok=True)
            client = self._pymilvus.MilvusClient(str(self._lite), **how)
        _USERS[self._lite] += 1
        return client

    def _open(self) -> None:
        with self._told():
            if not self._client.has_collection(self.name):
                return
            fields = self._client.describe_collection(self.name)["fields"]
        kinds = {field["name"]: field for field in fields}
        if set(kinds) != {"id", "vector", *FIELDS}:
            raise InputError(f"{self.address}: collection {self.name!r} is not tpsnet's; name another one")
        self.dim = int(kinds["vector"]["params"]["dim"])
        with self._told():
            self._client.load_collection(self.name)
            rows = self._client.get(self.name, ids=[OWN], output_fields=["path"])
        if not rows:  # a killed build has made the collection, and nothing else
            self.dim = 0
            return
        where = Path(self.name)
        self._head = validated(
            Head, parse_json(_text(rows[0]["path"]), where), where, "the gallery's own row"
        )
        self.model = self._head.model
        if self.options.index not in (None, self._head.index):
            raise InputError(
                f"{self.address}: the collection is {self._head.index}; leave index= out, or name another one"
            )

    def _rows(self, ids: Sequence[int], fields: Sequence[str]) -> list[dict]:
        wanted, found = list(dict.fromkeys(map(int, ids))), {}
        for start in range(0, len(wanted), ROWS):
            some = wanted[start : start + ROWS]
            with self._told():
                rows = self._client.get(self.name, ids=some, output_fields=["id", *fields])
            found |= {row["id"]: row for row in rows}
        try:
            return [found[int(i)] for i in ids]
        except KeyError as error:
            raise InputError(f"{self.address} has lost row {error}; fill another collection") from None

    def _search(self, queries: Float32[Tensor, "query dim"], k: int, where: Where) -> tuple[Tensor, Tensor]:
        if k > MOST - MARGIN:
            raise InputError(f"k = {k}: Milvus answers with {MOST - MARGIN:,} results at most; choose fewer")
        fits = _below(len(self))
        if where.domain is not None:
            fits += f" and domain == {_literal(where.domain)}"
        if where.classes:
            fits += f" and name in [{', '.join(map(_literal, where.classes))}]"
        params = {"ivf": {"nprobe": self.options.probes}, "hnsw": {"ef": max(self.options.ef, k + MARGIN)}}

        def propose(rows: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
            with self._told():
                found = self._client.search(
                    self.name,
                    data=list(rows),
                    limit=n,
                    filter=fits,
                    search_params={"metric_type": "IP", "params": params.get(self._head.index, {})},
                )
            numbers = np.full((len(rows), n), -1, dtype=np.int64)
            near = np.full((len(rows), n), -np.inf, dtype=np.float32)
            for q, hits in enumerate(found):
                numbers[q, : len(hits)] = [hit["id"] for hit in hits]
                near[q, : len(hits)] = [hit["distance"] for hit in hits]
            return numbers, near

        return self._settled(queries, k, propose)

    # Writing.

    def _append(self, parts: Iterator[Part], model: str) -> int:
        self._open()  # another process may have added to it meanwhile
        self.check_model(model)
        first = next((part for part in map(self._new, parts) if part[1]), None)
        if first is None:
            return 0
        if not self.dim:
            self._create(first[0].shape[1])
        before = n = len(self)
        try:
            self._forget(before)
            written: set[int] = set()  # hashes of the paths: rows that do not count yet are slow to ask for
            for part in chain([first], parts):
                n = self._insert(part, n, written)
            with self._told():
                self._client.flush(self.name)  # the rows are on the disk before they count
        except BaseException:
            with suppress(InputError):  # else the next build does it
                self._forget(before)
            self._open()
            raise
        try:
            self._count(n, model)
        finally:  # nothing is undone: a server may write the row, whatever has gone wrong here
            self._open()
        return n - before

    def _create(self, dim: int) -> None:
        kinds = self._pymilvus.DataType
        schema = self._pymilvus.MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("id", kinds.INT64, is_primary=True)
        schema.add_field("vector", kinds.FLOAT_VECTOR, dim=dim)
        for name in FIELDS:
            longest = LONGEST_PATH if name == "path" else LONGEST_NAME
            schema.add_field(name, kinds.VARCHAR, max_length=longest)
        indexes = self._pymilvus.MilvusClient.prepare_index_params()
        kind = {"flat": "FLAT", "ivf": "IVF_FLAT", "hnsw": "HNSW"}[self._head.index]
        settings = {"ivf": {"nlist": self._head.lists}, "hnsw": {"M": 16, "efConstruction": 200}}
        chosen = {"params": settings.get(self._head.index, {})}  # Milvus Lite reads them in this place alone
        indexes.add_index("vector", index_type=kind, metric_type="IP", params=chosen)
        for name in FIELDS:
            indexes.add_index(name, index_type="INVERTED")
        with self._told():
            if self._client.has_collection(
                self.name
            ):  # of a killed build, which has written no row of its own
                self._client.drop_collection(self.name)
            self._client.create_collection(
                self.name, schema=schema, index_params=indexes, consistency_level="Strong"
            )
            self._client.load_collection(self.name)
        self.dim = dim

    def _forget(self, size: int) -> None:
        """Remove what a killed build has left: rows that do not count."""
        with self._told():
            if self._client.query(self.name, f"id >= {size}", output_fields=["id"], limit=1):
                self._client.delete(self.name, filter=f"id >= {size}")

    def _insert(self, part: Part, n: int, written: set[int]) -> int:
        """Write what is new of a part, from number ``n`` on; returns the next number."""

        def known(paths: Sequence[str]) -> set[str]:
            return self.known(paths) | {path for path in paths if hash(path) in written}

        vectors, records = self._new(part, known)
        written.update(hash(record.path) for record in records)
        rows = [
            {"id": i, "vector": vector, **{field: _stored(value) for field, value in asdict(record).items()}}
            for i, (vector, record) in enumerate(zip(vectors.numpy(), records, strict=True), n)
        ]
        for start in range(0, len(rows), ROWS):
            with self._told():
                self._client.insert(self.name, rows[start : start + ROWS])
        return n + len(rows)

    def _count(self, size: int, model: str) -> None:
        """Write the gallery's own row: so many rows count."""
        head = Head(model, size, self._head.index, self._head.lists)
        own = {"id": OWN, "vector": np.zeros(self.dim, np.float32), "domain": "", "name": ""}
        with self._told():
            self._client.upsert(self.name, [own | {"path": _stored(json.dumps(asdict(head)))}])
            self._client.flush(self.name)

    @contextmanager
    def _told(self, mend: str = "see the server's log, or choose another gallery") -> Iterator[None]:
        """Errors of Milvus in one line."""
        try:
            yield
        except (self._pymilvus.MilvusException, OSError) as error:
            reason = " ".join(str(getattr(error, "message", "") or error).split())[:200]
            raise InputError(f"{self.address}: {reason}; {mend}") from None


def _record(row: dict) -> Record:
    return Record(*(_text(row[field]) for field in FIELDS))


def _below(size: int) -> str:
    """The rows that count."""
    return f"id >= 0 and id < {size}"


def _stored(text: str) -> str:
    r"""A name as Milvus keeps it, UTF-8 without control characters: escaped as in JSON."""
    return json.dumps(text, ensure_ascii=False)[1:-1].encode("utf-8", "backslashreplace").decode()


def _text(stored: str) -> str:
    return json.loads(f'"{stored}"')


def _literal(text: str) -> str:
    """A name in a filter expression."""
    return '"' + _stored(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _pymilvus(place: str) -> ModuleType:
    """The client, silenced: its errors are told in one line."""
    needed = "milvus-lite" if place.endswith(".db") else "milvus"
    try:
        import pymilvus

        if place.endswith(".db"):
            import milvus_lite  # noqa: F401
    except ImportError:
        raise InputError(f"the client of Milvus is not installed; pip install 'tpsnet[{needed}]'") from None
    quiet = ("pymilvus", "milvus_lite", "grpc._server")  # Milvus Lite's server runs in this process
    for name in quiet if place.endswith(".db") else quiet[:1]:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    return pymilvus
