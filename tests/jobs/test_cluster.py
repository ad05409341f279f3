"""Rows on a cluster: what is sent, what comes back, what is found again, and what a cluster may refuse."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import slurm
import small_work

from tpsnet import cli
from tpsnet.errors import InputError, RowsFailed
from tpsnet.jobs import Cluster, Job, cluster, run_jobs
from tpsnet.jobs.cluster import perform

LOCAL = Cluster("local", memory=1, cpus=1)
CALLER = """
import sys
from pathlib import Path
import small_work
from tpsnet.jobs import Cluster, Job, run_jobs
call = ["wait_for", *sys.argv[2:]]
run_jobs(Path(sys.argv[1]), [Job({"call": call}, tuple(call), "")], small_work.do, cluster=Cluster("local"))
"""


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    """Jobs find the package and ``small_work``."""
    tests = Path(small_work.__file__).parent
    monkeypatch.setenv("PYTHONPATH", f"{tests.parent}{os.pathsep}{tests}")


@pytest.fixture
def no_waiting(monkeypatch):
    monkeypatch.setattr(cluster, "ASK", 0.2)
    monkeypatch.setattr(cluster, "LATE", 0.0)


def jobs(*calls: tuple) -> list[Job]:
    return [Job({"call": list(call)}, call, " ".join(map(str, call))) for call in calls]


def test_rows_come_back_from_jobs_and_a_dead_one_takes_its_own_row_alone(tmp_path):
    file, calls = tmp_path / "rows.jsonl", str(tmp_path / "calls")
    asked = jobs(("square", 2), ("refuse", 7), ("square", 3), ("die", calls, 1))
    pairs = replace(LOCAL, rows_per_job=2)
    with pytest.raises(RowsFailed) as caught:
        run_jobs(file, asked, small_work.do, cluster=pairs)
    assert [row["square"] for row in caught.value.results] == [4, 9]
    refusal, death = caught.value.failures
    if death.mendable:
        refusal, death = death, refusal
    assert (refusal.title, refusal.reason) == ("refuse 7", "7 is not a number")
    assert death.title.startswith("die") and death.reason.endswith("left no result: died")
    assert not death.mendable and not (tmp_path / "cluster").exists()
    assert "submitit" in death.file.read_text()  # the log's end
    again = run_jobs(file, [asked[0], *asked[2:]], small_work.do, cluster=pairs)
    assert [row.get("square", row.get("calls")) for row in again] == [4, 9, 2]
    assert not (tmp_path / "cluster").exists()


def test_a_row_of_a_killed_call_is_found_again_and_not_sent_twice(tmp_path, monkeypatch):
    file, calls, go = tmp_path / "rows.jsonl", tmp_path / "calls", tmp_path / "go"
    with subprocess.Popen([sys.executable, "-c", CALLER, *map(str, (file, calls, go))]) as caller:
        for _ in range(1200):
            if calls.exists():
                break
            time.sleep(0.1)
        caller.send_signal(signal.SIGKILL)
    asked = jobs(("wait_for", str(calls), str(go)))
    for other in ({}, {"cluster": Cluster("slurm")}):
        with pytest.raises(InputError, match=r"rows of this table are on a cluster .* give --cluster local"):
            run_jobs(file, asked, small_work.do, **other)

    def sleep(seconds: float) -> None:
        """What is waited for happens while it is waited for."""
        go.touch()
        time.sleep(0.1)

    monkeypatch.setattr(cluster, "time", type("Time", (), {"sleep": sleep, "monotonic": time.monotonic}))
    assert run_jobs(file, asked, small_work.do, cluster=LOCAL)[0]["went"]
    assert len(calls.read_text().splitlines()) == 1
    assert run_jobs(file, asked, small_work.do)[0]["went"]


def test_slurm_gets_one_array_and_says_why_a_job_has_ended(tmp_path, monkeypatch, no_waiting):
    slurm.write(tmp_path / "bin", {"1": "OUT_OF_MEMORY"})
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    asked = jobs(("square", 2), ("die", str(tmp_path / "calls"), 1))
    sent = Cluster("slurm", "gpu", minutes=30, cpus=2, memory=3, at_once=5, rows_per_job=1)
    with pytest.raises(RowsFailed) as caught:
        run_jobs(tmp_path / "rows.jsonl", asked, small_work.do, cluster=sent, device="cuda")
    (row,), (failure,) = caught.value.results, caught.value.failures
    assert row["square"] == 4 and failure.mendable
    assert failure.reason.startswith("job 100_1 of the cluster left no result: out of memory; give more")
    script = (tmp_path / "bin/sbatch.log").read_text()
    for option in (
        "array=0-1%2",
        "partition=gpu",
        "time=30",
        "cpus-per-task=2",
        "mem=3GB",
        "gpus-per-node=1",
    ):
        assert f"#SBATCH --{option}\n" in script


def test_a_job_that_has_vanished_without_accounting_is_sent_again(tmp_path, monkeypatch, no_waiting):
    """As when the call was killed and the job cancelled meanwhile."""
    slurm.write(tmp_path / "bin", {})
    (tmp_path / "bin/sacct").unlink()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    (asked,) = jobs(("square", 2))
    (tmp_path / "cluster").mkdir()
    (tmp_path / "cluster/submitted.json").write_text(json.dumps({"slurm": {"99": [asked.name]}}))
    assert (
        run_jobs(tmp_path / "rows.jsonl", [asked], small_work.do, cluster=Cluster("slurm"))[0]["square"] == 4
    )


def test_what_slurm_refuses_is_one_line_and_nothing_stays(tmp_path, monkeypatch, capfd):
    slurm.write(tmp_path / "bin", {})
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    where = {"cluster": Cluster("slurm", "none")}
    with pytest.raises(InputError, match=r"the cluster refuses the jobs \(sbatch: error: invalid partition"):
        run_jobs(tmp_path / "out/rows.jsonl", jobs(("square", 2)), small_work.do, **where)
    assert not (tmp_path / "out/cluster").exists() and "partition" not in capfd.readouterr().err


def test_a_machine_without_slurm_is_one_line_before_anything_is_loaded(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    line = ["table", "--folder", str(tmp_path / "out"), "--cluster", "slurm", "--pairs", "line:flat"]
    assert cli.main(line) == 2
    error = capsys.readouterr().err
    assert error.startswith("tpsnet: --cluster slurm: there is no sbatch on this machine")
    assert error.count("\n") == 1 and not (tmp_path / "out").exists()


def test_without_submitit_a_line_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(InputError, match=r"pip install 'tpsnet\[cluster\]'"):
        LOCAL.check()
    Cluster().check()


def test_more_jobs_than_an_array_holds_are_refused_before_one_is_sent(tmp_path):
    many = jobs(*(("square", n) for n in range(1001)))
    with pytest.raises(InputError, match="give --cluster-rows-per-job 2"):
        run_jobs(tmp_path / "rows.jsonl", many, small_work.do, cluster=replace(LOCAL, rows_per_job=1))
    assert not (tmp_path / "cluster/submitted.json").exists()


def order(tmp_path: Path, *calls: tuple) -> Path:
    file = tmp_path / "orders" / "order.json"
    file.parent.mkdir()
    rows = {call[0]: list(call) for call in calls}
    file.write_text(json.dumps({"work": "small_work:do", "rows": rows}))
    return file


def outcome(tmp_path: Path, name: str) -> dict:
    return json.loads((tmp_path / "results" / f"{name}.json").read_text())


def test_a_job_that_runs_out_of_time_says_so_and_keeps_what_it_has_done(tmp_path, monkeypatch):
    from submitit.core.utils import UncompletedJobError

    def too_long(number: int) -> dict:
        raise UncompletedJobError("Job not requeued because: timed-out and not checkpointable.")

    monkeypatch.setattr(small_work, "stumble", too_long)
    file = order(tmp_path, ("square", 2), ("stumble", 1), ("refuse", 1))
    with pytest.raises(UncompletedJobError):
        perform(str(file))
    assert outcome(tmp_path, "square")["result"] == {"square": 4}
    assert outcome(tmp_path, "stumble")["reason"].startswith("out of time; give more --cluster-minutes")
    assert outcome(tmp_path, "stumble")["mendable"] and not (tmp_path / "results/refuse.json").exists()


def test_a_job_that_was_preempted_goes_on_where_it_was(tmp_path, monkeypatch):
    file = order(tmp_path, ("square", 2))
    perform(str(file))
    monkeypatch.setattr(small_work, "square", small_work.refuse)
    perform(str(file))
    assert outcome(tmp_path, "square")["result"] == {"square": 4}
