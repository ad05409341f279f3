"""A TorchScript archive as names and tensors: the form of OpenAI's own CLIP files. Nothing in it is run.

An archive is a zip file with ``NAME/data.pkl`` (the tree of modules, as a pickle), ``NAME/data/KEY`` (the
numbers of a tensor) and ``NAME/code`` (programs, which are not read here). The pickle is read one instruction
at a time: a name in it stays a name, a module becomes a dictionary of its attributes, and nothing is made but
tensors, whose numbers lie in the archive. Any other instruction or name is refused.

Source: the format of ``torch.jit.save``. Ours differs: no program is compiled and no class looked up, so that
what the network computes is not known, only its weights.
"""

import math
import pickletools
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from tpsnet.errors import InputError

MEND = "give the network's state_dict, best as safetensors"
LARGEST_TREE = 2**26  # bytes of data.pkl; OpenAI's largest has a hundredth of it
MOST_NAMES = 10**5
DEEPEST = 32  # modules in one another
DTYPES = {
    "torch.DoubleStorage": torch.float64,
    "torch.FloatStorage": torch.float32,
    "torch.HalfStorage": torch.float16,
    "torch.BFloat16Storage": torch.bfloat16,
    "torch.LongStorage": torch.int64,
    "torch.IntStorage": torch.int32,
    "torch.ShortStorage": torch.int16,
    "torch.CharStorage": torch.int8,
    "torch.ByteStorage": torch.uint8,
    "torch.BoolStorage": torch.bool,
}
TENSOR = "torch._utils._rebuild_tensor_v2"
AS_THEY_ARE = {  # calls that only tell the type of their first argument
    f"torch.jit._pickle.{name}"
    for name in (
        "build_intlist",
        "build_doublelist",
        "build_boollist",
        "build_tensorlist",
        "restore_type_tag",
    )
}
HOOKS = "collections.OrderedDict"  # of a tensor, always empty
VALUES = {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE"}
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class _Name(NamedTuple):
    """What a pickle would import."""

    text: str


class _Module(dict):
    """The attributes of a module."""


def is_torchscript(file: Path) -> bool:
    """Whether a file is a TorchScript archive, by the names in it."""
    try:
        with zipfile.ZipFile(file) as archive:
            return any(
                name.count("/") == 1 and name.endswith("/constants.pkl") for name in archive.namelist()
            )
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return False


def read_torchscript(file: Path) -> dict[str, Tensor]:
    """All tensors of a TorchScript archive by their names in the network, floating-point ones as float32.

    Raises:
        InputError: the archive is damaged, compressed where it should not be, or holds anything but modules
            and tensors.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            size = file.stat().st_size
            records = _Records(archive, size)
            tree = _Pickle(records).value(records.content("data.pkl", LARGEST_TREE))
        found = {name: t.float() if t.is_floating_point() else t for name, t in _named(tree, size)}
    except _Refused as error:
        raise InputError(f"{file} is a TorchScript archive {error}; {MEND}") from None
    except Exception:  # a damaged archive provokes any kind of error
        raise InputError(f"{file} is a damaged TorchScript archive; fetch it anew") from None
    if not found:
        raise InputError(f"{file} is a TorchScript archive without tensors; {MEND}")
    return found


class _Refused(Exception):
    """Something that only code could make sense of."""


class _Records:
    """The parts of an archive that are stored as they are, so that none is larger than the file."""

    def __init__(self, archive: zipfile.ZipFile, size: int) -> None:
        entries = archive.infolist()
        (root,) = {e.filename.split("/")[0] for e in entries if e.filename.endswith("/constants.pkl")}
        self.archive = archive
        self.entries = {entry.filename.removeprefix(f"{root}/"): entry for entry in entries}
        if len(self.entries) < len(entries):
            raise _Refused("with two parts of one name")
        plain = [e for e in entries if e.compress_type == zipfile.ZIP_STORED]
        if sum(e.file_size for e in plain) > size or any(e.file_size != e.compress_size for e in plain):
            raise _Refused("whose parts are larger than the file")
        if "byteorder" in self.entries and self.content("byteorder", 16) != b"little":
            raise _Refused("of a big-endian machine")

    def content(self, name: str, most: int) -> bytes:
        """A part of the archive, whole by its checksum."""
        entry = self.entries.get(name)
        if entry is None:
            raise _Refused(f"without {name:.40}")
        if entry.compress_type != zipfile.ZIP_STORED:
            raise _Refused(f"whose {name:.40} is compressed, so that its size is unbounded")
        if entry.file_size > most:
            raise _Refused(f"whose {name:.40} has {entry.file_size} bytes")
        return self.archive.read(entry)


class _Pickle:
    """The instructions of a pickle that ``torch.jit.save`` writes, and no others."""

    def __init__(self, records: _Records) -> None:
        self.records, self.storages = records, {}
        self.stack: list = []
        self.marks: list[int] = []
        self.memo: dict[int, object] = {}

    def value(self, content: bytes) -> object:
        """What the pickle says."""
        for instruction, argument, _ in pickletools.genops(content):
            if instruction.name == "STOP":
                break
            self._do(instruction.name, argument)
        (value,) = self.stack
        return value

    def _do(self, name: str, argument: object) -> None:
        stack = self.stack
        if name in VALUES:
            stack.append(argument)
        elif name in CONSTANTS:
            stack.append(CONSTANTS[name])
        elif name in TUPLES:
            stack.append(tuple(self._last(TUPLES[name])))
        elif name in ("EMPTY_LIST", "EMPTY_DICT"):
            stack.append([] if name == "EMPTY_LIST" else {})
        elif name == "MARK":
            self.marks.append(len(stack))
        elif name == "TUPLE":
            stack.append(tuple(self._marked()))
        elif name in ("APPEND", "APPENDS"):
            items = self._last(1) if name == "APPEND" else self._marked()
            _kind(stack[-1], list).extend(items)
        elif name in ("SETITEM", "SETITEMS"):
            items = self._last(2) if name == "SETITEM" else self._marked()
            _kind(stack[-1], dict).update(_pairs(items))
        elif name in ("BINPUT", "LONG_BINPUT"):
            self.memo[argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(self.memo[argument])
        elif name == "GLOBAL":
            stack.append(_allowed(argument))
        elif name in ("REDUCE", "NEWOBJ", "BUILD", "BINPERSID"):
            self._make(name)
        elif name != "PROTO":
            raise _Refused(f"with the instruction {name}")

    def _make(self, name: str) -> None:
        if name == "BINPERSID":
            self.stack.append(self._storage(*self._last(1)[0]))
            return
        what, given = self._last(2)
        if name == "BUILD":
            _kind(what, _Module).update(_kind(given, dict))
            self.stack.append(what)
        elif name == "NEWOBJ":
            if not _kind(what, _Name).text.startswith("__torch__.") or given:
                raise _Refused(f"that makes a {what.text:.80}")
            self.stack.append(_Module())
        else:
            self.stack.append(self._called(_kind(what, _Name).text, _kind(given, tuple)))

    def _called(self, name: str, given: tuple) -> object:
        if name == TENSOR:
            return _tensor(*given[:4])
        if name == HOOKS and not given:
            return {}
        if name in AS_THEY_ARE:
            return given[0]
        raise _Refused(f"that calls {name:.80}")

    def _storage(self, word: str, kind: _Name, key: str, place: str, count: int) -> Tensor:
        """The numbers of tensors, which may share them."""
        dtype = DTYPES.get(kind.text)
        if word != "storage" or dtype is None or not isinstance(key, str) or not key.isdigit():
            raise _Refused(f"with numbers of the kind {kind.text:.80}")
        if (key, dtype) not in self.storages:
            content = self.records.content(f"data/{key}", 2**62)
            if len(content) != _kind(count, int) * dtype.itemsize:
                raise _Refused(f"whose data/{key:.20} has {len(content)} bytes, not {count:d} of {dtype}")
            empty = torch.empty(0, dtype=dtype)
            self.storages[key, dtype] = (
                torch.frombuffer(bytearray(content), dtype=dtype) if content else empty
            )
        return self.storages[key, dtype]

    def _last(self, n: int) -> list:
        if len(self.stack) - n < (self.marks[-1] if self.marks else 0):
            raise _Refused("with a broken pickle")
        items = self.stack[len(self.stack) - n :]
        del self.stack[len(self.stack) - n :]
        return items

    def _marked(self) -> list:
        items = self.stack[self.marks[-1] :]
        del self.stack[self.marks.pop() :]
        return items


def _allowed(argument: object) -> _Name:
    """A name that a pickle would import, where it is one of those known here."""
    text = str(argument).replace(" ", ".")
    if text.startswith("__torch__.") or text in {TENSOR, HOOKS, *AS_THEY_ARE, *DTYPES}:
        return _Name(text)
    raise _Refused(f"that names {text:.80}")


def _kind(value: object, kind: type) -> object:
    if type(value) is not kind:
        raise _Refused(f"with a {type(value).__name__} in the place of a {kind.__name__}")
    return value


def _pairs(items: list) -> list[tuple[str | int, object]]:
    keys = items[::2]
    if any(type(key) not in (str, int) for key in keys):  # others might be costly to look up
        raise _Refused("with keys that are no names")
    return list(zip(keys, items[1::2], strict=True))


def _tensor(storage: Tensor, offset: int, size: tuple, stride: tuple) -> Tensor:
    """A view of stored numbers, none of which lies outside."""
    numbers = (offset, *_kind(size, tuple), *_kind(stride, tuple))
    if any(type(x) is not int or not 0 <= x < 2**48 for x in numbers) or len(size) != len(stride):
        raise _Refused("with a tensor of no shape")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    count = math.prod(size)
    if count > len(storage) or (count and last >= len(storage)):
        raise _Refused("with a tensor that claims more numbers than it holds")
    return storage.as_strided(size, stride, offset) if count else storage.new_empty(size)


def _named(tree: object, most: int) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a tree of modules, of no more than ``most`` numbers."""
    left, seen, numbers = [("", _kind(tree, _Module), 0)], 0, 0
    while left:
        prefix, module, depth = left.pop()
        for name, value in module.items():
            seen += 1
            if seen > MOST_NAMES or depth > DEEPEST:
                raise _Refused("with too many modules")
            if isinstance(value, Tensor):
                numbers += value.numel()
                if numbers > most:  # else a few numbers under many names would fill the memory
                    raise _Refused("whose tensors claim more numbers than it holds")
                yield f"{prefix}{name}", value
            elif isinstance(value, _Module):
                left.append((f"{prefix}{name}.", value, depth + 1))
