"""Trainings in several processes and in one that outlives its notebook: how they start, end and are ended."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pictures import write_tree
from processes import ended
from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

from tpsnet import cli
from tpsnet.errors import LAST_WORDS, InputError
from tpsnet.experiments import Experiment, launch, train_detached
from tpsnet.paths import claimed

HERE = str(Path(cli.__file__).parents[2])
LONG = ("--method", "TPSNetPrinted", "--prompt-epochs", "1", "--epochs", "100000", "--batch-size", "8")
SHORT = ("--method", "TPSNetPrinted", "--prompt-epochs", "1", "--epochs", "1", "--batch-size", "8")


@pytest.fixture
def options(tmp_path, small_clip) -> list[str]:
    """Where images and backbone of a short training are."""
    root = write_tree(tmp_path / "images", {"flat": ("ant", "bee"), "line": ("ant", "bee")}, each=8)
    return ["--root", str(root), "--model", small_clip]


@pytest.fixture
def started(tmp_path, options):
    """``started(run, *more)``: ``tpsnet train`` in two processes, not waited for."""
    running = []

    def start(run: str, *more: str) -> subprocess.Popen[str]:
        line = [sys.executable, "-m", "tpsnet.cli", "train", "flat", "line", str(tmp_path / run), *options]
        env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": HERE}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        running.append(subprocess.Popen([*line, "--nproc", "2", *more], env=env, **pipes))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.wait()


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def by_rank(pid: int) -> dict[int, int]:
    """Processes of a training by their rank."""
    found = {}
    for child in children(pid):
        variables = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
        found |= {int(v.split(b"=")[1]): child for v in variables if v.startswith(b"RANK=")}
    return found


def wait_until_trained(folder: Path, process: subprocess.Popen) -> None:
    """Until an epoch of the second stage is in the log."""
    log, until = folder / "log.jsonl", time.monotonic() + 240
    while not (log.is_file() and '"network"' in log.read_text()):
        assert process.poll() is None and time.monotonic() < until, process.communicate()
        time.sleep(0.05)


def test_a_training_of_two_processes_reads_like_that_of_one(started, tmp_path, options):
    process = started("run", *SHORT)
    out, error = process.communicate()
    assert (process.returncode, error) == (0, "")
    assert out.count(f"wrote {tmp_path / 'run'}") == 1 and out.count("frozen CLIP, centred + flip  ") == 2
    assert len(json.loads((tmp_path / "run/scores.json").read_text())["rows"]) == 4
    text = (tmp_path / "run/config.json").read_text()
    assert "nproc" not in text and Experiment.load(tmp_path / "run/config.json").config.epochs == 1


def test_an_error_of_one_process_ends_all_in_one_line(started, tmp_path):
    """The first cannot have the folder; the other one has nothing to complain about."""
    with claimed(tmp_path / "run"):
        process = started("run", *LONG)
        _, error = process.communicate()
    assert process.returncode == 2 and error.count("\n") == 1
    assert error.startswith(f"tpsnet: another process writes to {tmp_path / 'run'}; wait until it ends")
    assert [file.name for file in (tmp_path / "run").iterdir()] == [".lock"]


def test_a_killed_process_ends_the_others_in_one_line(started, tmp_path):
    process = started("run", *LONG)
    wait_until_trained(tmp_path / "run", process)
    both = by_rank(process.pid)
    os.kill(both[1], signal.SIGKILL)
    out, error = process.communicate()
    assert process.returncode == 2 and "wrote" not in out
    assert error == "tpsnet: process 1 of 2 has ended (SIGKILL); go on with --resume\n"
    assert sorted(both) == [0, 1] and ended(list(both.values()))


def test_with_the_one_that_started_them_all_end(started, tmp_path):
    process = started("run", *LONG)
    wait_until_trained(tmp_path / "run", process)
    both = list(by_rank(process.pid).values())
    process.kill()
    assert process.wait() == -signal.SIGKILL and len(both) == 2 and ended(both)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_to_all_ends_as_that_of_one_process(monkeypatch, capsys, number, code):
    def engine(*given):
        raise SignalException("", signal.Signals(number))

    monkeypatch.setattr(launch, "elastic_launch", engine)
    line, before = ["train", "a", "b", "run", "--nproc", "2"], dict(os.environ)
    if number == signal.SIGTERM:
        with pytest.raises(SystemExit) as caught:
            cli.main(line)
        assert caught.value.code == code
    else:
        assert cli.main(line) == code and capsys.readouterr().err == "tpsnet: interrupted\n"
    assert os.environ == before


def test_no_folder_for_temporary_files_is_one_line(monkeypatch, tmp_path, capsys):
    """What stood in the environment and in the log's settings before stands there afterwards."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    logging.disable(logging.WARNING)
    try:
        before = dict(os.environ)
        assert cli.main(["train", "a", "b", "run", "--nproc", "2"]) == 2
        assert os.environ == before and logging.root.manager.disable == logging.WARNING
    finally:
        logging.disable(logging.NOTSET)
    assert capsys.readouterr().err == (
        "tpsnet: cannot make a temporary folder (No such file or directory); "
        "free some space, or name another folder in TMPDIR\n"
    )


def test_the_log_is_as_silent_as_before(monkeypatch):
    def engine(*given):
        raise InputError("ended")

    monkeypatch.setattr(launch, "elastic_launch", engine)
    logging.disable(logging.INFO)
    try:
        with pytest.raises(InputError, match="ended"):
            launch.train_together(2, [])
        assert logging.root.manager.disable == logging.INFO
    finally:
        logging.disable(logging.NOTSET)


def test_last_words_that_the_disk_had_no_room_for_are_one_line(monkeypatch, tmp_path, capsys):
    def engine(*given):
        (Path(os.environ[LAST_WORDS]) / "0.json").touch()
        failure = ProcessFailure(local_rank=0, pid=1, exitcode=2, error_file="")
        return lambda *command: (_ for _ in ()).throw(ChildFailedError("train", {0: failure}))

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(launch, "elastic_launch", engine)
    assert cli.main(["train", "a", "b", "run", "--nproc", "2"]) == 2
    error = capsys.readouterr().err
    assert (
        f"could not write why to {tmp_path}/tpsnet-" in error
        and "; free some space" in error
        and error.count("\n") == 1
    )


def test_processes_that_do_not_fit_are_one_line(monkeypatch, capsys):
    assert cli.main(["train", "a", "b", "run", "--nproc", "0"]) == 2
    assert "nproc = 0: give a whole number from 1 to 1,024" in capsys.readouterr().err
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert cli.main(["train", "a", "b", "run", "--nproc", "2"]) == 2
    assert "--nproc 2: 4 processes are started; leave it out" in capsys.readouterr().err


WATCH = """
import sys
from tpsnet.experiments import train_detached
train_detached(sys.argv[1], ["flat", "line"], sys.argv[2:])
"""


@pytest.fixture
def watcher(tmp_path, options, monkeypatch):
    """``watcher(pipe)``: stands for a kernel that starts a training and shows its log."""
    monkeypatch.setenv("PYTHONPATH", HERE)
    running = []

    def start() -> subprocess.Popen[str]:
        line = [sys.executable, "-c", WATCH, str(tmp_path / "run"), *options, "--method", "Frozen"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        running.append(subprocess.Popen(line, **pipes))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.wait()


def test_a_training_outlives_its_kernel_and_is_watched_again(watcher, tmp_path, options, capsys):
    """Interrupted once, killed once; the training itself is held still meanwhile, so that it cannot end."""
    given = {"domains": ("flat", "line"), "options": [*options, "--method", "Frozen"]}
    kernel = watcher()
    assert kernel.stdout.readline().startswith(f"tpsnet train flat line {tmp_path / 'run'} --root")
    (training,) = children(kernel.pid)
    os.kill(training, signal.SIGSTOP)
    try:
        kernel.send_signal(signal.SIGINT)
        out, error = kernel.communicate()
        assert "the training goes on; the same call shows it again" in out and "KeyboardInterrupt" in error
        kernel = watcher()
        assert kernel.stdout.readline().startswith("tpsnet train flat line")
        assert children(kernel.pid) == []  # it has started no other one
        kernel.kill()
        kernel.wait()
        assert not ended([training], within=0)
    finally:
        os.kill(training, signal.SIGCONT)
    train_detached(tmp_path / "run", **given)
    out = capsys.readouterr().out
    assert out.startswith("tpsnet train flat line") and f"wrote {tmp_path / 'run'}" in out
    assert (tmp_path / "run/scores.json").is_file() and ended([training])

    before = (tmp_path / "run/train.log").stat()
    train_detached(tmp_path / "run", **given)  # it has finished: its log is all there is to show
    assert capsys.readouterr().out == out and (tmp_path / "run/train.log").stat().st_mtime == before.st_mtime


def test_a_training_that_fails_says_why(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PYTHONPATH", HERE)
    with pytest.raises(InputError, match=r"the training has ended \(.*absent: cannot read this") as caught:
        train_detached(tmp_path / "run", ["a", "b"], ["--root", str(tmp_path / "absent")])
    assert "\n" not in str(caught.value) and "tpsnet: " in capsys.readouterr().out
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="choose another run folder"):
        train_detached(tmp_path / "file", ["a", "b"])
