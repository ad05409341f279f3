"""Paths as users give them, and folders that one process at a time writes to."""

import os
import platform
import re
import secrets
import shutil
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from tpsnet.errors import InputError

LONGEST_NAME = 255  # bytes, of every usual file system
ABANDONED = 3600.0  # s; a living writer writes many times a minute
_HOST = f"{zlib.crc32(platform.node().encode()):08x}"
_PARTIAL = re.compile(r"\.([0-9a-f]{8})-(\d+)-[0-9a-f]{8}\.partial$")


def user_path(given: str | Path) -> Path:
    """A path as a user means it: ``~`` is the home folder, also where no shell has expanded it.

    Raises:
        InputError: there is no such user, or no file can have that name.
    """
    try:
        path = Path(given).expanduser()
    except RuntimeError:
        raise InputError(f"{given}: this home folder is not known; write it out, or ./~ for a name") from None
    try:
        fits = "\0" not in str(path) and all(len(os.fsencode(part)) <= LONGEST_NAME for part in path.parts)
    except UnicodeEncodeError:  # half a character, as JSON can hold it
        fits = False
    if not fits:
        raise InputError(f"{str(given)!r}: no file can have that name; give another")
    return path


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Keep other processes from writing to a folder for as long as the context lasts; it is made if absent.

    A killed process leaves no claim. What it has left half-written in the folder is removed, see ``sweep``.

    Raises:
        InputError: another process has claimed it, or nothing can be written there.
    """
    lock = FileLock(folder / ".lock", timeout=0, is_singleton=True)  # claims of one process count as one
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise InputError(
            f"another process writes to {folder}; wait until it ends or choose another folder"
        ) from None
    except OSError as error:
        raise InputError(f"cannot write to {folder} ({error.strerror}); choose another folder") from None
    try:
        if lock.lock_counter == 1:
            sweep(folder)
        yield
    finally:
        lock.release()


def partial_beside(path: Path) -> Path:
    """A name to write under until it is whole, which tells ``sweep`` who writes there."""
    return path.with_name(f"{_start(path.name)}.{_HOST}-{os.getpid()}-{secrets.token_hex(4)}.partial")


def sweep(folder: Path, name: str = "") -> None:
    """Remove what killed writers have left in a folder: ours alone, by their names.

    A writer of this machine is asked for by its number. What one of another machine, or one with our own
    number, has not touched for an hour counts as left.

    Args:
        folder: The folder.
        name: The file or folder in it whose remains are removed; by default everything's.
    """
    for partial in folder.glob("*.partial"):
        with suppress(OSError):  # another process may sweep too
            found = _PARTIAL.search(partial.name)
            wanted = found and (not name or partial.name[: found.start()] == _start(name))
            if wanted and _is_left(partial, found[1], int(found[2])):
                remove(partial)


def _start(name: str) -> str:
    """What the name of a partial begins with."""
    return name[:40]


def _is_left(partial: Path, host: str, number: int) -> bool:
    if host != _HOST or number == os.getpid():  # our own number may have been an earlier process's too
        touched = max(path.lstat().st_mtime for path in (partial, *partial.rglob("*")))
        return time.time() - touched > ABANDONED
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # of another user, so it lives
        pass
    return False


def check_output(path: Path) -> Path:
    """The file to be written: behind a link what it leads to.

    Raises:
        InputError: a pipe or a device has that name, which would be replaced by a file, or links in a circle.
    """
    if path.is_symlink():
        path = Path(os.path.realpath(path))
        if path.is_symlink():
            raise InputError(f"cannot write {path} (a link that leads to itself); give another name")
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise InputError(f"cannot write {path} (it is no regular file); give another name")
    return path


def remove(path: Path) -> None:
    """Remove a file or a folder, as far as that is possible."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()
