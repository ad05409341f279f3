"""The files of the cache of decoded pixels, and a disk that fills."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

IMAGE_BYTES = 3 * 16 * 16  # of an image of 16 px
HEADER = 128  # bytes before the pixels


def cache_files(cache: Path) -> list[str]:
    """Names of what lies in the cache; two files an entry, and an empty one that builders lock."""
    return sorted(p.name for p in (cache / "pixels").iterdir() if p.suffix != ".lock" or p.stat().st_size)


def pixel_file(cache: Path) -> Path:
    (file,) = (cache / "pixels").glob("*.npy")
    return file


def contents(cache: Path) -> dict[str, bytes]:
    return {name: (cache / "pixels" / name).read_bytes() for name in cache_files(cache)}


@contextmanager
def largest_file(limit: int) -> Iterator[None]:
    """A limit on the size of files makes the write itself fail, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
