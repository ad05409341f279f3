"""Jobs in worker processes of this machine: each has one job at a time, and a GPU where there are several.

Every worker is a pool of one process. One that dies, because memory is full or a library crashes, takes its
own job along and no other; it is replaced, and the job is tried once more after all others.
"""

import contextlib
import functools
import io
import os
import re
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait

import torch
from loky import ProcessPoolExecutor, cpu_count

from tpsnet.jobs.attempt import Outcome, attempt, failed
from tpsnet.jobs.job import Job

VISIBLE = "CUDA_VISIBLE_DEVICES"
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def gpus() -> tuple[str, ...]:
    """The GPUs that this process sees, by the names that ``CUDA_VISIBLE_DEVICES`` has for them."""
    count = torch.cuda.device_count()
    named = os.environ[VISIBLE].split(",") if VISIBLE in os.environ else map(str, range(count))
    return tuple(name.strip() for name in named)[:count]


def default_workers(device: str, cards: Sequence[str]) -> int:
    """How many workers a device gets: up to four on a processor, one on each GPU that ``cuda`` stands for.

    Args:
        device: As torch names it.
        cards: The GPUs, see ``gpus``.
    """
    if device == "cpu":
        return min(4, cpu_count())
    return max(1, len(cards)) if device == "cuda" else 1


def assigned(workers: int, device: str, cards: Sequence[str]) -> list[str | None]:
    """The GPU of each worker, in turn; ``None`` where nothing is to be chosen.

    A device with a number, such as ``cuda:1``, is the choice already.
    """
    shared = device == "cuda" and len(cards) > 1
    return [cards[number % len(cards)] if shared else None for number in range(workers)]


def in_workers(
    jobs: Sequence[Job], work: Callable[..., dict], workers: int, device: str
) -> Iterator[tuple[Job, Outcome]]:
    """Jobs with their outcomes, as these come; one worker is this process itself.

    When the iteration is left early, by an interrupt too, the workers are killed.

    Args:
        jobs: What to do.
        work: From a job's arguments to its result.
        workers: Processes, which share the processor's threads.
        device: Where the work computes; of several GPUs each worker sees one.
    """
    if workers == 1:
        yield from ((job, attempt(work, job.arguments)) for job in jobs)
        return
    threads = {name: str(max(1, cpu_count() // workers)) for name in THREADS if name not in os.environ}
    cards = gpus() if device == "cuda" else ()
    own = [{VISIBLE: card} if card else {} for card in assigned(workers, device, cards)]
    with warnings.catch_warnings():
        # loky renews workers that have grown
        warnings.filterwarnings("ignore", "A worker (stopped|was restarted)", UserWarning)
        yield from _spread(jobs, work, [_Worker(threads | env) for env in own[: len(jobs)]])


def _spread(
    jobs: Sequence[Job], work: Callable[..., dict], workers: "list[_Worker]"
) -> Iterator[tuple[Job, Outcome]]:
    waiting, idle, again = deque(jobs), deque(workers), set()
    running: dict[Future, tuple[_Worker, Job]] = {}
    try:
        while waiting or running:
            # Nothing is queued ahead: when this process is killed, no worker begins another job.
            while waiting and idle:
                worker, job = idle.popleft(), waiting.popleft()
                running[worker.submit(work, job.arguments)] = worker, job
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                worker, job = running.pop(future)
                idle.append(worker)
                error = future.exception()
                if isinstance(error, BrokenExecutor) and job.key not in again:
                    again.add(job.key)
                    waiting.append(job)
                    continue
                yield job, future.result() if error is None else _lost(error)
    finally:
        for worker in workers:
            worker.end(kill=bool(running))


class _Worker:
    """A process that is replaced when it dies."""

    def __init__(self, env: dict[str, str]) -> None:
        self.env = env
        self.pool = ProcessPoolExecutor(1, env=env)

    def submit(self, work: Callable[..., dict], arguments: Sequence) -> Future:
        try:
            return self.pool.submit(_quietly, work, arguments)
        except BrokenExecutor:
            self.end(kill=True)
            self.pool = ProcessPoolExecutor(1, env=self.env)
            return self.pool.submit(_quietly, work, arguments)

    def end(self, *, kill: bool) -> None:
        self.pool.shutdown(wait=True, kill_workers=kill)


def _lost(error: BaseException) -> Outcome:
    """The outcome of a job whose worker has died twice, or could not be given it."""
    if not isinstance(error, BrokenExecutor):
        return failed(error)
    code = re.search(r"\{(.*)\}", str(error))
    how = f" ({code[1]})" if code else ""
    reason = f"its process died twice{how}: memory was full, or a library crashed; try fewer workers"
    return Outcome(reason=reason, trace=str(error))


def _quietly(work: Callable[..., dict], arguments: Sequence) -> Outcome:
    """One job; of several at the same time none writes to the terminal."""
    end_with_parent()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return attempt(work, arguments)


@functools.cache
def end_with_parent() -> None:
    """Let this worker end within a second of the process that started it, however that one was killed."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
