"""Jobs on a cluster, through submitit: sent as arrays, found again after a kill, collected as they finish.

What a job does is a JSON file, and so is the result of each of its rows; both lie in ``cluster/`` beside the
table, which must be on a disk that the cluster's machines share. submitit itself pickles the call of
``perform`` with the name of that file, for its own job on that disk; no result is read from a pickle.
"""

import logging
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr
from dataclasses import asdict, dataclass
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import arg

from tpsnet.errors import InputError
from tpsnet.io import read_json, write_json
from tpsnet.jobs.attempt import Outcome, attempt
from tpsnet.jobs.job import Job
from tpsnet.paths import remove
from tpsnet.settings import Positive, Settings, Whole

FOLDER, FILE = "cluster", "submitted.json"
POLL = 1.0  # s between two looks for results
ASK = 15.0  # s between two questions to Slurm, which serves many
LATE = 30.0  # s that a result may need to be seen through a shared disk
LOG = 20_000  # characters of a log that stay
LARGEST_ARRAY = 1000  # jobs; Slurm's MaxArraySize is 1001 unless a site has changed it
MEND = "cancel its jobs and remove it"
MENDABLE = {  # states of Slurm that the user can do something about
    "TIMEOUT": "out of time; give more --cluster-minutes or fewer --cluster-rows-per-job",
    "OUT_OF_MEMORY": "out of memory; give more --cluster-memory",
    "CANCELLED": "cancelled",
    "PREEMPTED": "preempted and not queued again",
    "NODE_FAIL": "its machine failed",
}


@dataclass(frozen=True)
class Cluster(Settings):
    """Where rows run, if not in processes of this machine. Slurm's own SBATCH_… variables count too.

    Attributes:
        cluster: "slurm" sends rows to a cluster; "local" to processes of this machine that outlive the call.
        partition: Slurm's partition; its default without one.
        minutes: Time limit of a job, for all of its rows.
        gpus: GPUs of a job; one with --device cuda, else none.
        cpus: Processor cores of a job.
        memory: Memory of a job in GB.
        at_once: Jobs that may run at the same time.
        rows_per_job: Rows that one job makes, one after another; rows of seconds want more of them.
    """

    cluster: Literal["slurm", "local"] | None = None
    partition: Annotated[str | None, arg(name="cluster-partition")] = None
    minutes: Annotated[Positive, arg(name="cluster-minutes")] = 240
    gpus: Annotated[Whole | None, arg(name="cluster-gpus")] = None
    cpus: Annotated[Positive, arg(name="cluster-cpus")] = 8
    memory: Annotated[Positive, arg(name="cluster-memory")] = 32
    at_once: Annotated[Positive, arg(name="cluster-at-once")] = 16
    rows_per_job: Annotated[Positive, arg(name="cluster-rows-per-job")] = 4

    @property
    def used(self) -> bool:
        """Whether rows go to a cluster at all."""
        return self.cluster is not None

    def check(self) -> None:
        """Refuse what cannot be reached from here, before anything is loaded.

        Raises:
            InputError: submitit is not installed, or this machine has no Slurm.
        """
        if not self.used:
            return
        try:
            import submitit  # noqa: F401
        except ImportError:
            raise InputError("--cluster needs submitit; install it: pip install 'tpsnet[cluster]'") from None
        if self.cluster == "slurm":
            for command in ("sbatch", "srun", "squeue"):
                if shutil.which(command) is None:
                    raise InputError(
                        f"--cluster slurm: there is no {command} on this machine; log in to one that sends"
                        " jobs to the cluster, or leave --cluster out to use this machine"
                    )


HERE = Cluster()


def in_cluster(
    jobs: Sequence[Job],
    missing: Sequence[Job],
    work: Callable[..., dict],
    cluster: Cluster,
    folder: Path,
    *,
    device: str,
    say: Callable[[str], None],
) -> Iterator[tuple[Job, Outcome]]:
    """Jobs with their outcomes, as these come; those that an earlier call has sent are not sent again.

    When the iteration is left early, what was sent stays on the cluster for the next call.

    Args:
        jobs: All jobs, those that are done too.
        missing: Those whose results are wanted; all their arguments must be JSON-able.
        work: From a job's arguments to its result; a function that can be imported by its name.
        cluster: Where to send them.
        folder: Where ``cluster/`` grows, on a disk that the cluster shares.
        device: Where the work computes.
        say: Told in a line where the jobs are, when the iteration is left early.

    Raises:
        InputError: the cluster refuses the jobs.
    """
    if not missing and not (folder / FOLDER).exists():
        return
    sent, wanted = _Sent(folder.absolute() / FOLDER, cluster, device), {job.name: job for job in missing}
    sent.tidy({job.name for job in jobs} - set(wanted))
    try:
        known = sent.rows()
        sent.queue(work, [job for job in missing if job.name not in known])
        while wanted:
            sent.submit()
            found = dict(sent.outcomes(set(wanted)))
            for name, outcome in found.items():
                yield wanted.pop(name), outcome
                sent.collected(name)
            if wanted and not found:
                time.sleep(POLL)
    except InputError:
        if not sent.jobs:
            remove(sent.place)
        raise
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        if sent.jobs:
            say(f"on the cluster until the same call collects them: {', '.join(sent.jobs)} ({sent.file})")
        raise
    sent.clear()


def check_unsent(missing: Sequence[Job], folder: Path) -> None:
    """Refuse to make rows here that an earlier call has sent to a cluster.

    Raises:
        InputError: says how to collect them, and how to give them up.
    """
    file = folder / FOLDER / FILE
    for kind, sent in _read(file).items():
        if any(job.name in names for names in sent.values() for job in missing):
            raise _elsewhere(file, kind)


def _elsewhere(file: Path, kind: str) -> InputError:
    return InputError(
        f"rows of this table are on a cluster ({file}); give --cluster {kind} to collect them, or {MEND}"
    )


def perform(file: str) -> None:
    """What a job on the cluster does: each row of its file, with the outcome of each as a file.

    Rows whose outcome is there are not made again, so that a job that was preempted goes on where it was. One
    that runs out of time says so for the row it was at.
    """
    from submitit.core.utils import UncompletedJobError  # raised where the work is, by submitit's signal

    order = read_json(Path(file))
    module, function = order["work"].split(":")
    work = getattr(import_module(module), function)
    for name, arguments in order["rows"].items():
        result = Path(file).parents[1] / "results" / f"{name}.json"
        if result.exists():
            continue
        try:
            write_json(result, asdict(attempt(work, arguments, through=(UncompletedJobError,))))
        except UncompletedJobError:
            write_json(result, asdict(Outcome(reason=MENDABLE["TIMEOUT"], mendable=True)))
            raise


class _Sent:
    """What is on the cluster: ``submitted.json`` has the rows of each job by its id.

    Orders are not yet sent. The file is written with every change; a kill in the moment between a submission
    and its id costs that job's rows a second time.
    """

    def __init__(self, place: Path, cluster: Cluster, device: str) -> None:
        self.place, self.cluster = place, cluster
        self.file, self.log = place / FILE, place / "log"
        found = _read(self.file)
        for kind in found.keys() - {cluster.cluster}:
            raise _elsewhere(self.file, kind)
        self.jobs = found.get(cluster.cluster, {})
        self.executor = _executor(cluster, device, self.log)
        self.handles: dict[str, Any] = {}  # submitit's, of the jobs that this call has sent
        self.orders: list[tuple[Path, list[str]]] = []
        self.gone: dict[str, float] = {}  # when a job was first seen to be over
        self.asked, self.queued = float("-inf"), set(self.jobs)

    def rows(self) -> set[str]:
        """The names of all rows that are on the cluster."""
        return {name for names in self.jobs.values() for name in names}

    def tidy(self, done: set[str]) -> None:
        """Forget rows that are done, and jobs of an earlier call that are over: these are sent again."""
        for name in done & self.rows():
            self.collected(name)
        for number in filter(self._over, self.jobs):
            self.jobs[number] = [name for name in self.jobs[number] if self._result(name).exists()]
        self._write()
        known = self.rows()
        for file in (self.place / "results").glob("*.json"):
            if file.stem not in known:
                remove(file)

    def queue(self, work: Callable[..., dict], jobs: Sequence[Job]) -> None:
        """Write the orders, each of some rows."""
        each = self.cluster.rows_per_job
        groups = [jobs[i : i + each] for i in range(0, len(jobs), each)]
        if len(groups) > LARGEST_ARRAY:
            enough = -(-len(jobs) // LARGEST_ARRAY)
            raise InputError(
                f"{len(groups)} jobs are more than the {LARGEST_ARRAY} of an array;"
                f" give --cluster-rows-per-job {enough}"
            )
        for group in groups:
            file = self.place / "orders" / f"{group[0].name}.json"
            rows = {job.name: job.arguments for job in group}
            write_json(file, {"work": f"{work.__module__}:{work.__qualname__}", "rows": rows})
            self.orders.append((file, list(rows)))

    def submit(self) -> None:
        """Send what may run: all to Slurm, which counts itself; to this machine no more than may run."""
        many = len(self.orders)
        if self.cluster.cluster == "local":
            many = max(0, self.cluster.at_once - sum(not self._over(number) for number in self.jobs))
        now, self.orders = self.orders[:many], self.orders[many:]
        if not now:
            return
        said = StringIO()
        try:
            with redirect_stderr(said):
                handles = self.executor.map_array(perform, [str(file) for file, _ in now])
        except (RuntimeError, OSError) as error:  # what submitit raises is a RuntimeError
            reason = " ".join(str(error).split())
            raise InputError(
                f"the cluster refuses the jobs ({reason}); change the --cluster-… options"
            ) from None
        for handle, (_, names) in zip(handles, now, strict=True):
            self.jobs[handle.job_id], self.handles[handle.job_id] = names, handle
            self.queued.add(handle.job_id)
        self._write()

    def outcomes(self, wanted: set[str]) -> Iterator[tuple[str, Outcome]]:
        """Outcomes of some rows: from files, and for rows that their job has not made and never will."""
        for number, names in self.jobs.items():
            lacking = wanted & set(names)
            for name in [name for name in names if name in lacking and self._result(name).exists()]:
                lacking.remove(name)
                yield name, read_json(self._result(name), Outcome, "remove it")
            if lacking and self._over(number) and self._surely(number):
                lost = self._lost(number)
                yield from ((name, lost) for name in lacking if not self._result(name).exists())

    def collected(self, name: str) -> None:
        """A row is done with: its outcome has been kept elsewhere."""
        self.jobs = {number: [n for n in names if n != name] for number, names in self.jobs.items()}
        self._write()
        remove(self._result(name))

    def clear(self) -> None:
        """Remove everything, once nothing is on the cluster and the jobs of this call have ended."""
        until = time.monotonic() + ASK
        while any(not self._over(number) for number in self.handles) and time.monotonic() < until:
            time.sleep(POLL)
        if not self.jobs:
            remove(self.place)

    def _result(self, name: str) -> Path:
        return self.place / "results" / f"{name}.json"

    def _write(self) -> None:
        self.jobs = {number: names for number, names in self.jobs.items() if names}
        if self.jobs:
            write_json(self.file, {self.cluster.cluster: self.jobs})
        else:
            remove(self.file)

    def _over(self, number: str) -> bool:
        """Whether a job has ended, in whatever way."""
        handle = self.handles.get(number)
        if self.cluster.cluster == "local":  # submitit takes any process of an earlier call for ended
            return handle.done() if handle else not _lives(number, self.log)
        if (self.log / f"{number}_0_result.pkl").exists():  # it is not read
            return True
        if time.monotonic() - self.asked > ASK:
            self.queued, self.asked = _in_queue(self.queued), time.monotonic()
        return number not in self.queued

    def _surely(self, number: str) -> bool:
        """Whether its results would be seen by now, through a disk that shows them late."""
        first = self.gone.setdefault(number, time.monotonic())
        return self.cluster.cluster == "local" or time.monotonic() - first >= LATE

    def _lost(self, number: str) -> Outcome:
        """Why a job has ended without the outcomes of its rows."""
        import submitit

        log = self.log / f"{number}_0_log.out"
        state = "died"
        if self.cluster.cluster == "slurm":
            state = submitit.SlurmJob(self.log, number).get_info().get("State", "no longer in the queue")
        known = next((text for name, text in MENDABLE.items() if state.startswith(name)), None)
        end = log.read_text(errors="replace")[-LOG:] if log.is_file() else ""
        reason = f"job {number} of the cluster left no result: {known or state.lower()}"
        return Outcome(reason=reason, mendable=known is not None, trace=end)


def _executor(cluster: Cluster, device: str, log: Path) -> Any:
    """submitit's, which writes scripts, pickles and logs into a folder."""
    cluster.check()
    import submitit

    # It warns whenever sacct does not answer.
    logging.getLogger("submitit").setLevel(logging.ERROR)
    gpus = int(device.startswith("cuda")) if cluster.gpus is None else cluster.gpus
    executor = submitit.AutoExecutor(log, cluster=cluster.cluster)
    executor.update_parameters(
        name="tpsnet",
        timeout_min=cluster.minutes,
        cpus_per_task=cluster.cpus,
        gpus_per_node=gpus or None,  # a cluster without GPUs refuses a number of them
        mem_gb=cluster.memory,
        stderr_to_stdout=True,
        slurm_partition=cluster.partition,
        slurm_array_parallelism=cluster.at_once,
    )
    return executor


def _read(file: Path) -> dict[str, dict[str, list[str]]]:
    """The rows of each job, by the cluster that it is on."""
    return read_json(file, dict[str, dict[str, list[str]]], MEND) if file.exists() else {}


def _in_queue(before: set[str]) -> set[str]:
    """The ids of the user's jobs that wait or run; those of before if Slurm does not answer.

    Asked is the queue. submitit asks accounting, which many clusters have not; then, and when a job was
    preempted for good, it waits without end.
    """
    command = ["squeue", "--noheader", "--array", "--format=%i", f"--user={os.getuid()}"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return before
    return set(answer.stdout.split())


def _lives(number: str, log: Path) -> bool:
    """Whether the process of an earlier call still runs its job."""
    import psutil

    try:
        process = psutil.Process(int(number))
        return process.status() != psutil.STATUS_ZOMBIE and str(log) in process.cmdline()
    except psutil.Error:
        return False
