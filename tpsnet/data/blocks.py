"""Decoded pixels on disk, written in blocks with a journal, so that a killed build goes on.

An entry of the cache is ``KEY.npy``, an ordinary array of the pixels of the kept images, and ``KEY.journal``,
a line for each finished block of 256 images: the hashes of their files, the CRC-32 of the pixels of each, and
why images were left out. While it is built, the array is called ``KEY.part``. Who builds holds ``KEY.lock``,
who reads holds a shared lock of the array itself, and who removes an entry holds both.
"""

import json
import logging
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass
from io import BytesIO
from itertools import islice, takewhile
from pathlib import Path
from typing import BinaryIO

import numpy as np
from filelock import FileLock, Timeout

from tpsnet.data.home import MEND_CACHE
from tpsnet.data.reading import passing
from tpsnet.data.walk import LASTING
from tpsnet.errors import InputError
from tpsnet.escape import printable
from tpsnet.io import RowFile, unread, write_text
from tpsnet.paths import remove, sweep

BLOCK = 256  # images
Pixels = np.ndarray | str  # of an image, or the reason why there are none

log = logging.getLogger("tpsnet")


@dataclass(frozen=True)
class Block:
    """A finished block.

    Attributes:
        digests: Hashes of the files of its images, hexadecimal, without a gap.
        crcs: CRC-32 of the pixels of each kept image.
        skipped: Why images have none, by position in the domain.
    """

    digests: str
    crcs: list[int]
    skipped: dict[str, str]

    def line(self) -> str:
        """The block in the journal, after a checksum."""
        text = json.dumps(asdict(self))
        return f"{zlib.crc32(text.encode()):08x} {text}\n"


class Entry:
    """The decoded images of a domain.

    Args:
        folder: Where it lies.
        key: Its name there, which differs with the files, their order and the way of decoding.
        digests: Hashes of the files.
        shape: Shape of the pixels of an image, uint8.
    """

    def __init__(self, folder: Path, key: str, digests: Sequence[bytes], shape: tuple[int, ...]) -> None:
        self.digests, self.shape, self.row = digests, shape, int(np.prod(shape))
        self.array, self.part, self.journal, self.lock = (
            folder / f"{key}.{kind}" for kind in ("npy", "part", "journal", "lock")
        )

    def read(self, check: bool = False) -> tuple[RowFile, dict[int, str]] | None:
        """The pixels of the kept images, and the reasons by skipped position; ``None`` if they are not whole.

        Sizes, header and journal are looked at, and the first and the last block are compared with their CRC.

        Args:
            check: Whether to compare every block with its CRC.

        Raises:
            InputError: The array is there, and cannot be opened for a reason that may pass.
        """
        blocks = self._blocks()
        crcs = np.array([crc for block in blocks for crc in block.crcs], np.uint32)
        head = self._header(len(crcs))
        try:
            with self.array.open("rb") as file:
                whole = file.read(len(head)) == head and file.seek(0, 2) == len(head) + crcs.size * self.row
        except OSError as error:
            if error.errno in LASTING:
                return None
            raise passing(self.array, error.strerror) from None  # else hours of decoding would be thrown away
        if not whole or BLOCK * len(blocks) < len(self.digests):
            return None
        try:
            rows = RowFile(self.array, len(head), self.shape, crcs)
            firsts = range(0, len(crcs), BLOCK) if check else (0, max(0, len(crcs) - BLOCK))
            for first in firsts:
                if rows.damaged(np.arange(first, min(first + BLOCK, len(crcs)))):
                    return None
        except InputError:
            return None
        return rows, {int(i): reason for block in blocks for i, reason in block.skipped.items()}

    @property
    def missing(self) -> int:
        """Bytes that are still to be written, if no image is left out."""
        done = self.part.stat().st_size if self.part.exists() else 0
        return max(0, len(self._header(0)) + len(self.digests) * self.row - done)

    @contextmanager
    def claimed(self, name: str) -> Iterator[None]:
        """Keep other processes from building; of two that come at once, the second waits.

        Raises:
            InputError: Nothing can be written there.
        """
        lock = FileLock(self.lock)
        with self._writing():
            self.lock.parent.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                log.warning("another process decodes %s; waiting for it", printable(name))
                lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def begun(self) -> int:
        """How many images are done already; what is not whole is removed. To be called under the claim."""
        sweep(self.part.parent)
        with self._writing():
            if self.array.exists():  # damaged; others may have it open, so that nothing is written into it
                self._clear()
            blocks, end = [], len(self._header(0))
            self.part.touch()
            with self.part.open("r+b") as file:
                file.seek(end)
                for block in self._blocks():
                    if any(zlib.crc32(file.read(self.row)) != crc for crc in block.crcs):
                        break
                    blocks, end = [*blocks, block], end + len(block.crcs) * self.row
                file.truncate(min(end, file.seek(0, 2)))
            write_text(self.journal, "".join(block.line() for block in blocks))
        return min(BLOCK * len(blocks), len(self.digests))

    def build(self, start: int, images: Iterable[Pixels]) -> None:
        """Write what ``begun`` has not found.

        Args:
            start: Position of the first image.
            images: Pixels of the images from there on; an error among them ends the build, and the blocks
                before it are kept.

        Raises:
            InputError: It cannot be written; finished blocks are kept.
        """
        images = iter(images)
        with self._writing(), self.part.open("r+b") as file, self.journal.open("ab") as journal:
            end = file.seek(max(file.seek(0, 2), len(self._header(0))))
            try:
                for first in range(start, len(self.digests), BLOCK):
                    block = self._write(file, first, islice(images, BLOCK))
                    file.flush()
                    end = file.tell()
                    journal.write(block.line().encode())
                    journal.flush()
            except BaseException:
                if end == len(self._header(0)):
                    self._clear()
                with suppress(OSError):  # half a block helps nobody
                    os.ftruncate(file.fileno(), end)
                raise
            file.seek(0)
            file.write(self._header((end - len(self._header(0))) // self.row))
            file.flush()
            os.fsync(file.fileno())  # at the next start, sizes and two blocks alone are looked at
        with self._writing():
            self.part.replace(self.array)

    def _write(self, file: BinaryIO, first: int, images: Iterable[Pixels]) -> Block:
        crcs, skipped = [], {}
        for number, pixels in enumerate(images, first):
            if isinstance(pixels, str):
                skipped[str(number)] = pixels
            else:
                file.write(pixels)
                crcs.append(zlib.crc32(pixels))
        return Block(self._hashes(first), crcs, skipped)

    def _blocks(self) -> list[Block]:
        """The blocks of the journal, as far as they are whole and of these files."""
        numbered = enumerate(_lines(self.journal))
        return [b for _, b in takewhile(lambda nb: nb[1].digests == self._hashes(BLOCK * nb[0]), numbered)]

    def _hashes(self, first: int) -> str:
        return b"".join(self.digests[first : first + BLOCK]).hex()

    def _header(self, n: int) -> bytes:
        """The start of a ``.npy`` file, of one length for every ``n``."""
        head = BytesIO()
        facts = {"descr": "|u1", "fortran_order": False, "shape": (n, *self.shape)}
        np.lib.format.write_array_header_1_0(head, facts)
        return head.getvalue()

    def discard(self) -> bool:
        """Remove it, unless a process builds or reads it; killed amid that, it is removed by the next call.

        Returns:
            Whether nothing of it is left.
        """
        lock = FileLock(self.lock, timeout=0)
        try:
            lock.acquire()
        except OSError:  # also that another process holds it
            return False
        try:
            with unread(self.array) if self.array.exists() else nullcontext(True) as free:
                if free:
                    self._clear()
        finally:
            lock.release()
        return not any(file.exists() for file in (self.array, self.part, self.journal))

    def _clear(self) -> None:
        for file in (self.array, self.part, self.journal):
            remove(file)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = f"({error.strerror or error}); {MEND_CACHE}, what is finished is kept"
            raise InputError(f"cannot write {self.array} {reason}") from None


class Older:
    """Pixels of a finished entry by the hash of their file, for another entry that has the same file.

    Args:
        folder: Where it lies.
        key: Its name there.
        shape: Shape of the pixels of an image.
    """

    def __init__(self, folder: Path, key: str, shape: tuple[int, ...]) -> None:
        entry = Entry(folder, key, (), shape)
        entry.digests = [
            bytes.fromhex(block.digests[i : i + 32])
            for block in _lines(entry.journal)
            for i in range(0, len(block.digests), 32)
        ]
        self.rows, skipped = entry.read() or (None, {})
        kept = (digest for i, digest in enumerate(entry.digests) if i not in skipped)
        self.places = {} if self.rows is None else {digest: row for row, digest in enumerate(kept)}

    def get(self, digest: bytes) -> np.ndarray | None:
        """The pixels, if they are there and as they were written."""
        if self.rows is None or (row := self.places.get(digest)) is None:
            return None
        pixels = self.rows.read(np.array([row]))[0]
        return pixels if zlib.crc32(pixels) == self.rows.crcs[row] else None


def _lines(journal: Path) -> Iterator[Block]:
    """The blocks of a journal, as far as its lines are whole."""
    try:
        lines = journal.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError as error:
        if error.errno in LASTING:
            return
        raise passing(journal, error.strerror) from None
    for line in lines[:-1]:  # the last is empty, or cut by a kill
        check, _, text = line.partition(" ")
        if check != f"{zlib.crc32(text.encode()):08x}":
            return
        yield Block(**json.loads(text))
