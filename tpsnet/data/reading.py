"""Many files read in threads, in order, with progress; and what a fault of reading says about a file."""

import hashlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tpsnet.data.walk import LASTING
from tpsnet.errors import InputError
from tpsnet.progress import Progress

AHEAD = 256  # results that wait in memory for their turn
SHOWN = 2000  # images; fewer are over before a line of progress is read


def digest(content: bytes) -> bytes:
    """A hash of a file's bytes, 16 bytes."""
    return hashlib.blake2b(content, digest_size=16).digest()


def content(path: Path) -> bytes:
    """The bytes of a file; none if it is absent or may not be read: it is skipped like an empty one.

    Raises:
        InputError: It cannot be read for a reason that may pass.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        if error.errno in LASTING:
            return b""
        raise passing(path, error.strerror) from None
    except MemoryError:
        raise passing(path, "not enough memory for the file") from None


def passing(path: Path, reason: str | None) -> InputError:
    """The end by what is no fault of the image, and must not be remembered as one."""
    return InputError(
        f"{path}: cannot be read now ({reason}); try again when that has passed, what is finished is kept"
    )


def in_threads(work: Callable[..., Any], *arguments: Iterable[Any]) -> Iterator[Any]:
    """Results in order; some hundred are made ahead, so that no thread waits for a slow one.

    Threads are enough: Pillow decodes and resizes, and files are read, without Python's lock.

    Raises:
        InputError: There is no memory or number left for a thread.
    """
    pool, pending = ThreadPoolExecutor(), deque()
    try:
        for given in zip(*arguments, strict=False):
            pending.append(pool.submit(work, *given))
            if len(pending) > AHEAD:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    except (RuntimeError, MemoryError) as error:
        raise InputError(f"images cannot be read now ({error}); free some memory, then try again") from None
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def counted(total: int, what: str, done: int = 0) -> Iterator[Callable[[], None]]:
    """A function to call after each image: progress with a rate, where there are many.

    Args:
        total: How many images there are.
        what: What is done to them, in a word or two.
        done: How many of them an earlier start has done.
    """
    if total - done < SHOWN:
        yield lambda: None
        return
    begun, number = time.monotonic(), 0
    with Progress(total, what) as progress:
        progress.skip(done)

        def step() -> None:
            nonlocal number
            number += 1
            progress.step(f"{number / max(1e-9, time.monotonic() - begun):.0f} images/s")

        yield step
