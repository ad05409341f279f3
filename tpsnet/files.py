"""A file is there whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from safetensors import SafetensorError

from tpsnet.types import InputError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name to write under; it becomes ``path`` at the end, folders included.

    Raises:
        InputError: it cannot be written, e.g. the disk is full; an older file stays.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"cannot write {path} ({error}); free some space or choose another folder") from None
    finally:
        with suppress(OSError):
            partial.unlink()
