"""Files that are there whole or not at all: text, JSON, and tensors as safetensors (never a pickle).

What is read is checked first: a regular file, of a bounded size, whole by its checksum where it has one, and
of the form that the reader names.
"""

import dataclasses
import fcntl
import json
import os
import reprlib
import stat
import weakref
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int, UInt8
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from tpsnet.errors import InputError
from tpsnet.paths import check_output, partial_beside, remove

LARGEST_TEXT = 2**28  # bytes; the log of a year's training is a hundredth of it
POINTER = b"version https://git-lfs.github.com/spec/"  # how a git-lfs pointer begins
SHORT = reprlib.Repr()  # values in messages, however long or deep they are
CHECKSUM = "crc32"  # its place in the meta data of tensors


@contextmanager
def replacing(path: Path, mend: str = "free some space or choose another folder") -> Iterator[Path]:
    """A name to write a file or a folder under; it becomes ``path`` at the end, parent folders included.

    Args:
        path: The final name, or a link to it. An older file is replaced in one step, a folder must not exist.
        mend: What the error message advises.

    Raises:
        InputError: it cannot be written, e.g. the disk is full, or is no regular file; an older file stays.
    """
    path = check_output(path)
    partial = partial_beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot write {path} ({reason}); {mend}") from None
    finally:
        remove(partial)


def write_text(path: Path, text: str) -> None:
    r"""Write UTF-8 text; see ``replacing``.

    A byte of a file name that is no UTF-8 is written as ``\udcNN``, which JSON reads back as that byte.
    """
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: Path, value: object) -> None:
    """Write a value as indented JSON; see ``replacing``."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def check_file(path: Path) -> None:
    """Refuse what is no file with content of its own, before anything is read from it.

    A pipe, a device or a folder is not opened: a pipe has no end.

    Raises:
        InputError: nothing is there, it cannot be read, it is no regular file, or it is a git-lfs pointer.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise InputError(f"cannot read {path} (it is no regular file); name a file")
        with path.open("rb") as file:
            pointer = file.read(len(POINTER)) == POINTER
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot read {path} ({reason}); check the path") from None
    if pointer:
        raise InputError(f"{path} is a git-lfs pointer, not the file itself; run `git lfs pull` beside it")


def read_text(path: Path, mend: str = "name another file") -> str:
    """The UTF-8 text of a file, without the byte-order mark with which some editors begin one.

    Args:
        path: The file.
        mend: What the error message advises where the file is there, but no text.

    Raises:
        InputError: see ``check_file``; it is no UTF-8, or larger than ``LARGEST_TEXT``.
    """
    check_file(path)
    if path.stat().st_size > LARGEST_TEXT:
        raise InputError(f"{path} has {path.stat().st_size} bytes, over {LARGEST_TEXT}; {mend}")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"cannot read {path} ({error}); {mend}") from None


def parse_json(text: str, where: object, mend: str = "name another file") -> Any:
    """The value of a JSON text.

    Args:
        text: The text.
        where: Where it stands, for the message.
        mend: What the error message advises.

    Raises:
        InputError: it is no JSON, or nested too deep.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise InputError(f"cannot read {where} (values are nested too deep); {mend}") from None
    except ValueError as error:
        raise InputError(f"cannot read {where} ({error}); {mend}") from None


def read_json(path: Path, kind: Any = dict[str, Any], mend: str = "name another file") -> Any:
    """What ``write_json`` wrote of a mapping.

    Args:
        path: The file.
        kind: Type of what it holds, see ``validated``.
        mend: What the error message advises where the file is there, but damaged.

    Raises:
        InputError: the file is missing, damaged or holds something else.
    """
    value = parse_json(read_text(path, mend), path, mend)
    if not isinstance(value, dict):
        raise InputError(f"{path} holds no JSON object; {mend}")
    return validated(kind, value, path, "", mend)


def read_json_lines(path: Path, kind: Any = dict[str, Any], mend: str = "remove the line") -> list[Any]:
    """The values of JSON lines; the last line is passed over if a kill has cut it.

    Args:
        path: The file.
        kind: Type of each line, see ``validated``.
        mend: What the error message advises.

    Raises:
        InputError: the file cannot be read, or another line is damaged or holds something else.
    """
    *whole, last = read_text(path).split("\n")
    values = [
        validated(kind, parse_json(line, f"{path}, line {n}", mend), path, f"line {n}", mend)
        for n, line in enumerate(whole, 1)
        if line.strip()
    ]
    try:
        value = parse_json(last, path)
    except InputError:  # empty, or cut
        return values
    return [*values, validated(kind, value, path, f"line {len(whole) + 1}", mend)]


def validated(kind: Any, value: object, path: Path, where: str, mend: str = "mend the value") -> Any:
    """A value of a type out of JSON; an unknown field of a dataclass is an error, not passed over.

    Args:
        kind: The type, e.g. a dataclass with other dataclasses in it, or a pydantic model.
        value: What JSON holds.
        path: The file that it comes from, for the message.
        where: Its place in the file, for the message; the file itself where empty.
        mend: What the error message advises.

    Raises:
        InputError: a field is unknown, or a value is of another type; names the first.
    """
    _check_fields(kind, value, path, where, mend)
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(filter(None, [where, *map(str, first["loc"])]))
        found = "" if first["type"] == "missing" else f", not {SHORT.repr(first['input'])}"
        reason = first["msg"].removeprefix("Value error, ") + found
        raise InputError(f"{path}: {name}: {reason}; {mend}") from None
    except InputError as error:  # of the dataclass itself
        raise InputError(f"{': '.join(filter(None, [str(path), where]))}: {error}; {mend}") from None


def _check_fields(kind: Any, value: object, path: Path, where: str, mend: str) -> None:
    if not (dataclasses.is_dataclass(kind) and isinstance(value, dict)):
        return
    fields = {f.name: f.type for f in dataclasses.fields(kind)}
    for name, inner in value.items():
        if name not in fields:
            raise InputError(f"{path}: no field {where}.{name}; there are {', '.join(fields)}; {mend}")
        _check_fields(fields[name], inner, path, f"{where}.{name}", mend)


def read_lines(path: Path, what: str, mend: str) -> list[str]:
    """The lines of a UTF-8 text that are not empty, without the spaces around them.

    Args:
        path: The file.
        what: What it lists, for the message.
        mend: What the error message advises where the file is there, but no list.

    Raises:
        InputError: see ``read_text``; the list is empty.
    """
    lines = [line.strip() for line in read_text(path, mend).splitlines() if line.strip()]
    if not lines:
        raise InputError(f"{path}: this list of {what} is empty; {mend}")
    return lines


def write_tensors(path: Path, tensors: Mapping[str, Tensor], meta: Mapping[str, object]) -> None:
    """Write tensors and JSON-able ``meta`` as one safetensors file with a checksum; see ``replacing``."""
    flat = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    head = json.dumps(dict(meta) | {CHECKSUM: _checksum(flat, meta)})
    with replacing(path) as partial:
        save_tensors(partial, flat, {"meta": head})


def save_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file that others may read as any file; safetensors' own is the writer's alone."""
    path.touch()
    mode = path.stat().st_mode
    save_file(tensors, path, metadata=metadata)
    path.chmod(mode)


def read_tensors(
    path: Path, mend: str = "remove it or choose another folder", kind: Any = dict[str, Any]
) -> tuple[dict[str, Tensor], Any]:
    """What ``write_tensors`` wrote.

    Args:
        path: The file.
        mend: What the error message advises where the file is there, but damaged.
        kind: Type of the meta data, see ``validated``.

    Raises:
        InputError: the file is missing or damaged, or its meta data are of another type. A file without a
            checksum is taken as it is.
    """
    check_file(path)
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            meta = json.loads(file.metadata()["meta"])
        expected = meta.pop(CHECKSUM, None)
    except Exception as error:  # a damaged file provokes any kind of error
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"cannot read {path} ({reason}); {mend}") from None
    if expected is not None and expected != _checksum(tensors, meta):
        raise InputError(f"cannot read {path} (its checksum is wrong: it was damaged or edited); {mend}")
    return tensors, validated(kind, meta, path, "", mend)


def crc32(tensor: Tensor, before: int = 0) -> int:
    """CRC-32 of the bytes of a tensor, after those of others."""
    return zlib.crc32(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy(), before)


def joined_crc32(parts: Iterable[int], size: int) -> int:
    """CRC-32 of parts of ``size`` bytes each, one after the other, by that of each.

    A CRC is linear over GF(2): the first part's runs through ``size`` zeros, and the second's is added.
    """
    zeros = bytes(size)
    columns = [zlib.crc32(zeros, 1 << bit) ^ zlib.crc32(zeros) for bit in range(32)]
    tables = [[0] * 256 for _ in range(4)]  # of each byte of a CRC
    for place, table in enumerate(tables):
        for byte in range(1, 256):
            low = byte & -byte
            table[byte] = table[byte ^ low] ^ columns[8 * place + low.bit_length() - 1]
    first, second, third, fourth = tables
    found = 0
    for crc in parts:
        moved = first[found & 255] ^ second[found >> 8 & 255] ^ third[found >> 16 & 255] ^ fourth[found >> 24]
        found = moved ^ crc
    return found


class RowFile:
    """The rows of an array of bytes in a file, read when they are asked for: it need not fit into memory.

    It is read, not mapped: Linux refuses a private map that is larger than the memory, and a map counts what
    was read of it as the process's own. As long as it is open, ``unread`` says that somebody reads it.

    Args:
        path: The file.
        start: Bytes before the first row.
        shape: Shape of a row.
        crcs: CRC-32 of each row, as it was written.

    Raises:
        InputError: The file cannot be opened, or is just being removed.
    """

    def __init__(self, path: Path, start: int, shape: tuple[int, ...], crcs: np.ndarray) -> None:
        self.path, self.start, self.shape, self.crcs = path, start, shape, crcs
        self.row = int(np.prod(shape))  # bytes
        try:
            self._number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise self._fault(error.strerror) from None
        weakref.finalize(self, os.close, self._number)
        try:
            fcntl.flock(self._number, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise self._fault(error.strerror) from None
        except OSError:  # a file system without locks, where ``unread`` says no
            pass

    def __len__(self) -> int:
        return len(self.crcs)

    def __deepcopy__(self, memo: object) -> "RowFile":
        return self  # nothing of it changes

    def __reduce__(self) -> tuple:
        return RowFile, (self.path, self.start, self.shape, self.crcs)  # another process opens it anew

    def read(self, rows: Int[np.ndarray, " n"]) -> UInt8[np.ndarray, "n ..."]:
        """Some rows, in that order; neighbours are read at once, and several threads may read.

        Raises:
            InputError: They cannot be read, or the file has become shorter.
        """
        found = np.empty((len(rows), *self.shape), np.uint8)
        breaks = np.flatnonzero(np.diff(rows) != 1) + 1
        for some, part in zip(np.split(rows, breaks), np.split(found, breaks), strict=True):
            if len(some):
                self._fill(memoryview(part).cast("B"), self.start + int(some[0]) * self.row)
        return found

    def damaged(self, rows: Int[np.ndarray, " n"]) -> list[int]:
        """Which of some rows do not have their CRC."""
        found = self.read(rows)
        return [
            r for r, bytes_ in zip(rows.tolist(), found, strict=True) if zlib.crc32(bytes_) != self.crcs[r]
        ]

    def _fill(self, room: memoryview, place: int) -> None:
        done = 0
        while done < len(room):  # a call gives 2 GB at most
            try:
                number = os.preadv(self._number, [room[done:]], place + done)
            except OSError as error:
                raise self._fault(error.strerror) from None
            if not number:
                raise self._fault("it has become shorter")
            done += number

    def _fault(self, reason: str | None) -> InputError:
        return InputError(f"cannot read {self.path} ({reason}); start again, and it is made anew")


@contextmanager
def unread(path: Path) -> Iterator[bool]:
    """Whether no process has a ``RowFile`` of a file; as long as the context lasts, none can be opened.

    Where it cannot be written, or the file system has no locks, the answer is no.
    """
    try:
        number = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        yield False
        return
    try:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(number)


def _checksum(tensors: Mapping[str, Tensor], meta: Mapping[str, object]) -> str:
    """CRC-32 of meta data and of all names, types, shapes and numbers."""
    found = zlib.crc32(json.dumps(meta).encode())
    for name, tensor in sorted(tensors.items()):
        found = crc32(tensor, zlib.crc32(f"{name} {tensor.dtype} {list(tensor.shape)} ".encode(), found))
    return f"{found:08x}"
