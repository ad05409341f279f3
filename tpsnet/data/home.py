"""Where caches live, and whether there is room."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from tpsnet.errors import InputError
from tpsnet.paths import user_path

MEND_CACHE = "free some space or set TPSNET_CACHE to another folder"


def cache_home() -> Path:
    """Where caches live: ``$TPSNET_CACHE``, or ``~/.cache/tpsnet``.

    Raises:
        InputError: Neither is known.
    """
    chosen = os.environ.get("TPSNET_CACHE")
    if chosen:
        return user_path(chosen)
    with suppress(RuntimeError):  # an unknown user
        if (home := Path.home()) != Path("/"):  # an empty HOME
            return home / ".cache" / "tpsnet"
    raise InputError("no home folder is known to keep a cache in; set TPSNET_CACHE to a folder")


def pixels_home() -> Path:
    """Where decoded images lie."""
    return cache_home() / "pixels"


def check_room(what: str, need: int) -> str:
    """The need of the cache for space beside what its disk has free, in words.

    Args:
        what: What is to be written.
        need: Its bytes.

    Raises:
        InputError: There is less.
    """
    folder = place = cache_home()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    told = f"{what} needs {in_bytes(need)} in {folder}, {in_bytes(free)} are free"
    if need > free:
        raise InputError(f"{told}; {MEND_CACHE}")
    return told


def in_bytes(number: int) -> str:
    """A number of bytes in words, such as 27.3 GB (of 10⁹ bytes)."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number} bytes"
