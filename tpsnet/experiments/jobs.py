"""The one resumable job runner, for tables and studies: a JSON line for every finished job."""

import contextlib
import io
import json
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from joblib import Parallel, delayed

from tpsnet.errors import InputError
from tpsnet.io import replacing
from tpsnet.progress import Progress


@dataclass(frozen=True)
class Job:
    """Something to compute once.

    Attributes:
        made_with: Everything its result depends on, JSON-able; a result is reused only if it is equal.
        arguments: What the work is called with.
        title: Shown when it is done.
    """

    made_with: dict
    arguments: tuple
    title: str

    @property
    def key(self) -> str:
        """``made_with`` as text."""
        return _key(self.made_with)


def run_jobs(
    file: Path,
    jobs: Sequence[Job],
    work: Callable[..., dict],
    *,
    workers: int = 1,
    label: str = "table",
    stale: Callable[[Job], bool] = lambda job: False,
) -> list[dict]:
    """Do every job whose result is not in ``file`` yet; give back the results of all, in order.

    A killed call loses the jobs it was at; the next call goes on from there. Results of other jobs in the
    file stay.

    Args:
        file: JSON lines, each a result with its ``made_with``.
        jobs: What to do.
        work: From a job's arguments to its result; it runs in another process if there are several workers.
        workers: Processes that share the processor's threads.
        label: Shown with the progress.
        stale: Whether a result must be made anew although it is there.
    """
    done = _read(file)
    missing = [job for job in jobs if job.key not in done or stale(job)]
    with Progress(len(jobs), label) as progress, warnings.catch_warnings():
        # joblib renews workers that have grown
        warnings.filterwarnings("ignore", "A worker stopped", UserWarning)
        progress.skip(len(jobs) - len(missing))
        # Nothing is queued ahead: when this process is killed, a worker ends with the job that it is at.
        parallel = Parallel(workers, return_as="generator_unordered", pre_dispatch=workers)
        calls = (delayed(_call)(number, work, job, quiet=workers > 1) for number, job in enumerate(missing))
        for number, result in parallel(calls):
            job = missing[number]
            done[job.key] = row = {**result, "made_with": job.made_with}
            _append(file, row)
            progress.step(job.title)
    return [done[job.key] for job in jobs]


def _call(number: int, work: Callable[..., dict], job: Job, *, quiet: bool) -> tuple[int, dict]:
    """One job; of several at the same time none writes to the terminal. Results are as JSON gives them."""
    with contextlib.ExitStack() as stack:
        if quiet:
            stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
            stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
        return number, json.loads(json.dumps(work(*job.arguments)))


def _key(made_with: dict) -> str:
    return json.dumps(made_with, sort_keys=True)


def _append(file: Path, line: dict) -> None:
    try:
        with file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")
    except OSError as error:
        raise InputError(f"cannot write {file} ({error}); free some space or choose another folder") from None


def _read(file: Path) -> dict[str, dict]:
    """Results by key; a line that a kill has cut is taken out of the file, so that others can follow it."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    whole = [row for line in lines if (row := _parsed(line)) is not None]
    with replacing(file) as partial:
        partial.write_text("".join(json.dumps(row) + "\n" for row in whole), encoding="utf-8")
    return {_key(row["made_with"]): row for row in whole}


def _parsed(line: str) -> dict | None:
    try:
        row = json.loads(line)
    except json.JSONDecodeError:
        return None
    return row if isinstance(row, dict) and "made_with" in row else None
