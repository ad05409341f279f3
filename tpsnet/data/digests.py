"""What the bytes of images are, without reading them at every start: their hashes, kept with size and times.

A hash is taken from the record as long as size, time of change (mtime) and time of the entry itself (ctime)
of its file are those at which it was read. What was edited, replaced, moved or copied is read again, and
where its bytes are those of before, nothing else follows. Git decides like this what to read.

Not noticed by size and times, but by a check: what a disk has lost, and what was written on a file system
that does not keep times, or after somebody had set the clock back.
"""

import errno
import hashlib
import logging
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import quote_from_bytes, unquote_to_bytes

import numpy as np
import torch
from torch import Tensor

from tpsnet.data.home import cache_home
from tpsnet.data.reading import content, counted, digest, in_threads, passing
from tpsnet.data.walk import LASTING
from tpsnet.errors import InputError
from tpsnet.escape import printable
from tpsnet.io import read_tensors, write_tensors
from tpsnet.types import Domain

FRESH = 2.0  # s; a file that changed so shortly ago may change again within the same tick: it is read again
SAVED = 2**15  # files between two savings, of which a killed start keeps the last

Stat = tuple[int, int, int]  # size in bytes, mtime and ctime in ns
ABSENT = (-1, -1, -1)

log = logging.getLogger("tpsnet")


@dataclass(frozen=True)
class Held:
    """Which entries of the cache are of a folder.

    Attributes:
        built: The newest, by the way of decoding and the reading, see ``Record``; with a slash between.
        older: Others that were begun or built before.
        folder: The folder, percent-encoded as it may be no UTF-8; empty where a record does not tell.
    """

    built: dict[str, str] = field(default_factory=dict)
    older: list[str] = field(default_factory=list)
    folder: str = ""

    @property
    def gone(self) -> bool:
        """Whether the folder is known, and is not there."""
        if not self.folder:
            return False
        try:
            os.stat(unquote_to_bytes(self.folder))  # noqa: PTH116
        except OSError as error:  # others tell of a disk that does not answer
            return error.errno in (errno.ENOENT, errno.ENOTDIR)
        return False


class Record:
    """The hashes of the files of one folder, as they were read last; a file in the cache for each folder.

    Args:
        domain: Its images; the folder is the one that all of them lie in.

    Attributes:
        known: Size and times, and the hash, by path below the folder.
        held: The entries of the cache that are of the folder.
        reading: Which classes are read of the folder: a data set and its subset have the same folder.
    """

    def __init__(self, domain: Domain) -> None:
        common = os.path.commonpath([path.parent for path in domain.paths])
        self.domain, self.names = domain, [str(path).removeprefix(common) for path in domain.paths]
        classes = sorted({domain.class_names[label] for label in domain.labels.tolist()})
        self.reading = _hex(os.fsencode("\0".join(classes)))
        self.folder = os.fsencode(os.path.abspath(common))  # noqa: PTH100
        self.file = _home() / f"{_hex(self.folder)}.safetensors"
        self.known: dict[str, tuple[Stat, bytes]] = {}
        self.held = Held()
        with suppress(InputError, KeyError, ValueError):  # absent or of another version: files are read again
            self._load()

    def digests(self, check: bool = False) -> list[bytes]:
        """A hash of the bytes of each image; that of no bytes for a file that cannot be read.

        Args:
            check: Whether to read every file again, and to name those in a warning that are not as recorded.

        Raises:
            InputError: A file cannot be read for a reason that may pass (memory, a fault of the disk).
        """
        now = time.time()
        stats = list(map(_stat, self.domain.paths))  # before the bytes: what changes meanwhile is read again
        before = [self.known.get(name, (ABSENT, b"")) for name in self.names]
        found = [value for _, value in before]
        unknown = [i for i, (stat, _) in enumerate(before) if check or stat != stats[i] or stat == ABSENT]
        hashes = in_threads(lambda i: digest(content(self.domain.paths[i])), unknown)
        with counted(len(unknown), f"{self.domain.name}: reading") as step:
            for start in range(0, len(unknown), SAVED):
                some = unknown[start : start + SAVED]
                for i, value in zip(some, hashes, strict=False):
                    found[i] = value
                    step()
                lasting = [i for i in some if _lasting(stats[i], now)]
                self.known |= {self.names[i]: (stats[i], found[i]) for i in lasting}
                if lasting:
                    self.save()
        if check:
            self._name([i for i, (_, value) in enumerate(before) if value not in (b"", found[i])])
        return found

    def _name(self, changed: list[int]) -> None:
        for i in changed:
            log.warning(
                "%s: its bytes are not those that were decoded before", printable(self.domain.paths[i])
            )

    def begin(self, key: str) -> None:
        """Write down that an entry of the folder is being built."""
        self.save(Held(older=[key]))

    def before(self, way: str) -> str:
        """The newest entry of a way of decoding, of the same reading if there is one; or empty."""
        alike = {name: key for name, key in self.held.built.items() if name.rpartition("/")[0] == way}
        return alike.get(f"{way}/{self.reading}") or next(iter(alike.values()), "")

    def use(self, way: str, key: str) -> None:
        """Write down which entry holds the folder as it is, in a way of decoding."""
        name = f"{way}/{self.reading}"
        if self.held.built.get(name) != key or not self.held.folder:
            self.save(Held({name: key}))

    def save(self, more: Held | None = None) -> None:
        """Write it, where that is possible: without it, files are read again.

        Args:
            more: Entries to add; those that others have added meanwhile stay.
        """
        parts = [self.held, *_held(self.file), *([more] if more else [])]
        built = {way: key for part in parts for way, key in part.built.items()}
        named = {key for part in parts for key in (*part.built.values(), *part.older)}
        self.held = Held(built, sorted(named - {*built.values()}), quote_from_bytes(self.folder))
        stats, digests = zip(*self.known.values(), strict=True) if self.known else ((), ())
        tensors = {
            "names": _bytes(os.fsencode("\0".join(self.known))),
            "stats": torch.tensor(stats, dtype=torch.int64).view(-1, 3),
            "digests": _bytes(b"".join(digests)),
        }
        with suppress(InputError):
            write_tensors(self.file, tensors, asdict(self.held))

    def _load(self) -> None:
        tensors, held = read_tensors(self.file, kind=Held)
        joined = tensors["names"].numpy().tobytes()
        names = os.fsdecode(joined).split("\0") if joined else []  # all files may be fresh
        hashes = tensors["digests"].numpy().tobytes()
        each = [hashes[i : i + 16] for i in range(0, len(hashes), 16)]
        stats = map(tuple, tensors["stats"].tolist())
        known = dict(zip(names, zip(stats, each, strict=True), strict=True))
        self.known, self.held = known, held


def all_held() -> dict[Path, Held]:
    """The entries of every folder that has a record, by the file of the record."""
    return {file: held for file in sorted(_home().glob("*.safetensors")) for held in _held(file)}


def _home() -> Path:
    return cache_home() / "digests"


def _hex(text: bytes) -> str:
    return hashlib.blake2b(text, digest_size=16).hexdigest()


def _held(file: Path) -> list[Held]:
    """What a record holds, if it is there and whole."""
    with suppress(InputError):
        return [read_tensors(file, kind=Held)[1]]
    return []


def _stat(path: Path) -> Stat:
    try:
        found = os.stat(path)  # noqa: PTH116 (a third faster, of 600,000 files)
    except OSError as error:
        if error.errno in LASTING:
            return ABSENT
        raise passing(path, error.strerror) from None
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _lasting(stat: Stat, now: float) -> bool:
    """Whether a file that changes after ``now`` gets other times than these."""
    return stat != ABSENT and all(abs(now - time_ns / 1e9) > FRESH for time_ns in stat[1:])


def _bytes(content: bytes) -> Tensor:
    return torch.from_numpy(np.frombuffer(content, np.uint8).copy())
