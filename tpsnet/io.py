"""Files that are there whole or not at all: text, JSON, and tensors as safetensors (never a pickle)."""

import dataclasses
import json
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from tpsnet.errors import InputError


@contextmanager
def replacing(path: Path, mend: str = "free some space or choose another folder") -> Iterator[Path]:
    """A name to write a file or a folder under; it becomes ``path`` at the end, parent folders included.

    Args:
        path: The final name. An older file is replaced in one step, a folder must not exist yet.
        mend: What the error message advises.

    Raises:
        InputError: it cannot be written, e.g. the disk is full; an older file stays.
    """
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex[:12]}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot write {path} ({reason}); {mend}") from None
    finally:
        if partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        with suppress(OSError):
            partial.unlink()


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text; see ``replacing``."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path, value: object) -> None:
    """Write a value as indented JSON; see ``replacing``."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def read_json(path: Path) -> dict:
    """What ``write_json`` wrote of a mapping.

    Raises:
        InputError: the file is missing, damaged or holds something else.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path} ({error}); name another file") from None
    if not isinstance(value, dict):
        raise InputError(f"{path} holds no JSON object; name another file")
    return value


def validated(kind: Any, value: object, path: Path, where: str, mend: str = "mend the value") -> Any:
    """A value of a type out of JSON; an unknown field of a dataclass is an error, not passed over.

    Args:
        kind: The type, e.g. a dataclass with other dataclasses in it.
        value: What JSON holds.
        path: The file that it comes from, for the message.
        where: Its place in the file, for the message.
        mend: What the error message advises.

    Raises:
        InputError: a field is unknown, or a value is of another type; names the first.
    """
    _check_fields(kind, value, path, where, mend)
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join([where, *map(str, first["loc"])])
        raise InputError(f"{path}: {name}: {first['msg']}; {mend}") from None


def _check_fields(kind: Any, value: object, path: Path, where: str, mend: str) -> None:
    if not (dataclasses.is_dataclass(kind) and isinstance(value, dict)):
        return
    fields = {f.name: f.type for f in dataclasses.fields(kind)}
    for name, inner in value.items():
        if name not in fields:
            raise InputError(f"{path}: no field {where}.{name}; there are {', '.join(fields)}; {mend}")
        _check_fields(fields[name], inner, path, f"{where}.{name}", mend)


def write_tensors(path: Path, tensors: Mapping[str, Tensor], meta: Mapping[str, object]) -> None:
    """Write tensors and JSON-able ``meta`` as one safetensors file; see ``replacing``."""
    flat = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    with replacing(path) as partial:
        save_file(flat, partial, metadata={"meta": json.dumps(meta)})


def read_tensors(
    path: Path, mend: str = "remove it or choose another folder"
) -> tuple[dict[str, Tensor], dict]:
    """What ``write_tensors`` wrote.

    Args:
        path: The file.
        mend: What the error message advises.

    Raises:
        InputError: the file is missing or damaged.
    """
    try:
        with safe_open(path, "pt") as file:
            names = list(file.keys())
            return {name: file.get_tensor(name) for name in names}, json.loads(file.metadata()["meta"])
    except (OSError, SafetensorError, TypeError, KeyError, ValueError) as error:
        raise InputError(f"cannot read {path} ({error}); {mend}") from None
