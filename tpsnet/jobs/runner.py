"""Every job once: a JSON line for each that is done, a file for each that has failed."""

import contextlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from tpsnet.errors import Failure, InputError, RowsFailed
from tpsnet.io import read_json_lines, replacing, write_text
from tpsnet.jobs.attempt import Outcome
from tpsnet.jobs.cluster import HERE, Cluster, check_unsent, in_cluster
from tpsnet.jobs.expected import Expected
from tpsnet.jobs.job import Job, key
from tpsnet.jobs.workers import in_workers
from tpsnet.paths import claimed
from tpsnet.progress import Progress

FAILURES = "failures"


def run_jobs(
    file: Path,
    jobs: Sequence[Job],
    work: Callable[..., dict],
    *,
    workers: int = 1,
    device: str = "cpu",
    cluster: Cluster = HERE,
    label: str = "table",
    stale: Callable[[Job, dict], bool] = lambda job, result: False,
    check: Callable[[dict], object] = lambda result: None,
) -> list[dict]:
    """Do every job whose result is not in ``file`` yet; give back the results of all, in order.

    A killed call loses the jobs it was at; the next call goes on from there, and tries those again that have
    failed. Results of other jobs in the file stay.

    Args:
        file: JSON lines, each a result with its ``made_with``.
        jobs: What to do.
        work: From a job's arguments to its result; it runs in another process if there are several workers.
        workers: Processes of this machine, see ``workers.in_workers``.
        device: Where the work computes.
        cluster: Sends the jobs to a cluster instead, see ``cluster.in_cluster``.
        label: Shown with the progress.
        stale: Whether a job's result in the file must be made anew.
        check: Raises ``InputError`` where a result in the file is not as the work makes it.

    Raises:
        InputError: Another process works in the file's folder, the file cannot be read or written, or a line
            of it is no result.
        RowsFailed: Jobs have failed; all others are done. The traceback of each is in ``failures/`` beside
            the file.
    """
    with claimed(file.parent):
        kept = _read(file)
        done = {job.key: next((kept[k] for k in job.keys if k in kept), None) for job in jobs}
        for result in filter(None, done.values()):
            check(result)
        done = {
            job.key: None if done[job.key] and stale(job, done[job.key]) else done[job.key] for job in jobs
        }
        missing = list({job.key: job for job in jobs if done[job.key] is None}.values())
        failures, expected = [], Expected(missing, cluster.at_once if cluster.used else workers)
        with Progress(len(jobs), label) as progress, contextlib.ExitStack() as stack:
            progress.skip(len(jobs) - len(missing))
            if cluster.used:
                where = {"device": device, "say": progress.say}
                found = in_cluster(jobs, missing, work, cluster, file.parent, **where)
            else:
                check_unsent(missing, file.parent)
                found = in_workers(missing, work, workers, device)
            stack.enter_context(contextlib.closing(found))
            for job, outcome in found:
                if outcome.result is None:
                    failures.append(_keep(file.parent, job, outcome))
                    progress.say(f"failed: {failures[-1]}")
                    expected.over(job, None)
                else:
                    done[job.key] = row = {**outcome.result, "made_with": job.made_with}
                    _append(file, row)
                    _forget(file.parent, job)
                    expected.over(job, outcome.seconds)
                progress.step(job.title, expected.words())
    results = [done[job.key] for job in jobs if done[job.key] is not None]
    if failures:
        raise RowsFailed(failures, results)
    return results


def _keep(folder: Path, job: Job, outcome: Outcome) -> Failure:
    """Write down why a job failed."""
    file = folder / FAILURES / f"{job.name}.txt"
    write_text(file, f"{job.title}\n{outcome.reason}\n\n{outcome.trace}")
    return Failure(job.title, outcome.reason, file, outcome.mendable)


def _forget(folder: Path, job: Job) -> None:
    """What was written down when the job failed in an earlier call."""
    with contextlib.suppress(OSError):
        (folder / FAILURES / f"{job.name}.txt").unlink()
        (folder / FAILURES).rmdir()  # if that was the last


def _append(file: Path, line: dict) -> None:
    try:
        with file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")
    except OSError as error:
        raise InputError(f"cannot write {file} ({error}); free some space or choose another folder") from None


def _read(file: Path) -> dict[str, dict]:
    """Results by key; a line that a kill has cut is taken out of the file, so that others can follow it."""
    mend = "remove the line or choose another folder"
    rows = read_json_lines(file, mend=mend) if file.exists() else []
    for number, row in enumerate(rows, 1):
        if not isinstance(row.get("made_with"), dict):
            raise InputError(f"{file}: row {number} has no made_with, so it is no result; {mend}")
    with replacing(file) as partial:
        partial.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return {key(row["made_with"]): row for row in rows}
