"""Start a training: in several processes, or as one that outlives the notebook that has started it."""

import codecs
import json
import logging
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from loky import cpu_count
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from tpsnet.errors import LAST_WORDS, ChildFailed, InputError
from tpsnet.paths import user_path
from tpsnet.training import CHECKPOINT, MODEL

LOG = "train.log"
POLL = 0.3  # s, between two looks at a log
GRACE = 10  # s, between asking a process to end and ending it
THREADS = "OMP_NUM_THREADS"
ROOM = "free some space, or name another folder in TMPDIR"


def train_together(number: int, arguments: Sequence[str]) -> None:
    """Run ``tpsnet train`` in several processes of this machine that train one model (``torchrun``'s engine).

    No port is fixed. They share the processor's threads, unless OMP_NUM_THREADS says otherwise. When one of
    them ends badly, all end.

    Args:
        number: How many.
        arguments: What follows ``tpsnet train``.

    Raises:
        InputError: what one of them cannot use, one was killed, or there is no room for temporary files.
        ChildFailed: one ended otherwise.
        KeyboardInterrupt: interrupted.
    """
    try:
        words = tempfile.TemporaryDirectory(prefix="tpsnet-")
    except OSError as error:
        raise InputError(f"cannot make a temporary folder ({error.strerror or error}); {ROOM}") from None
    before, silent = os.environ.get(THREADS), logging.root.manager.disable
    os.environ.setdefault(THREADS, str(max(1, cpu_count() // number)))
    logging.disable(logging.ERROR)  # the engine tells at length what is told below in a line
    try:
        with words as folder:
            os.environ[LAST_WORDS] = folder
            _launch(number, ["-m", "tpsnet.cli", "train", *arguments], Path(folder))
    except SignalException as error:
        if error.sigval == signal.SIGINT:
            raise KeyboardInterrupt from None
        sys.exit(128 + error.sigval)
    finally:
        logging.disable(silent)
        os.environ.pop(LAST_WORDS, None)
        if before is None:
            os.environ.pop(THREADS, None)


def _launch(number: int, command: list[str], folder: Path) -> None:
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=number,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        local_addr="localhost",
        max_restarts=0,
        shutdown_timeout=GRACE,
        logs_specs=DefaultLogsSpecs(log_dir=str(folder / "engine")),
    )
    try:
        elastic_launch(config, sys.executable)(*command)
    except ChildFailedError as error:
        raise _reason(error, folder, number) from None


def _reason(error: ChildFailedError, folder: Path, number: int) -> Exception:
    """What ended first: the last words of a process, or else the signal that has killed one."""
    for file in sorted(folder.glob("*.json")):
        try:
            text, code = json.loads(file.read_text(encoding="utf-8"))
        except ValueError:  # the disk was full
            return InputError(f"a process has ended, and could not write why to {folder}; {ROOM}")
        return InputError(text) if code == 2 else ChildFailed(text, code)
    # One that was killed comes before one that was asked to end, and that before one that lost the others.
    codes = {rank: failure.exitcode for rank, failure in error.failures.items()}
    rank, code = min(codes.items(), key=lambda item: (item[1] >= 0, -item[1]))
    if code == 128 + signal.SIGPIPE:
        return ChildFailed("", code)
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return InputError(f"process {rank} of {number} has ended ({how}); go on with --resume")


def train_detached(run: str | Path, domains: Sequence[str] = (), options: Sequence[str] = ()) -> None:
    """Start ``tpsnet train`` as a process that outlives this one, and show its log until it ends.

    Where that training goes on already, e.g. after a kernel was started anew, its log is shown from the
    beginning; where it has finished, that is all. One that was killed is resumed. An interrupt ends the
    watching and leaves the training alone.

    Args:
        run: The run folder; the log is its ``train.log``.
        domains: The two domains, unless the options name an experiment to start from.
        options: Options of ``tpsnet train``, e.g. ``["--nproc", "2", "--device", "cuda"]``.

    Raises:
        InputError: the training has not come to its end; the last line of its log says why.
    """
    folder = user_path(run)
    log, arguments = folder / LOG, [*domains, str(folder), *options]
    title = shlex.join(["tpsnet", "train", *arguments]) + "\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with log.open("a+b") as file:
            if _claim(file) and not _finished(log, title):
                _start(file, title, arguments, begun=any((folder / x).exists() for x in (CHECKPOINT, MODEL)))
    except OSError as error:
        raise InputError(f"cannot write {log} ({error.strerror}); choose another run folder") from None
    try:
        _show(log)
    except KeyboardInterrupt:
        print(f"\nthe training goes on; the same call shows it again, and {log} holds what it says")
        raise
    if not _finished(log):
        last = log.read_text(encoding="utf-8", errors="replace").rstrip().rsplit("\n", 1)[-1]
        reason = last.removeprefix("tpsnet: ") if last.startswith("tpsnet: ") else f"killed after {last!r}"
        raise InputError(f"{folder}: the training has ended ({reason}); the same call goes on with it")


def _start(file: BinaryIO, title: str, arguments: Sequence[str], *, begun: bool) -> None:
    """A session of its own: neither an interrupt nor the end of the kernel reaches it."""
    file.truncate(0)
    file.write(title.encode("utf-8", "backslashreplace"))
    file.flush()
    resume = ["--resume"] if begun and "--resume" not in arguments else []
    command = [sys.executable, "-m", "tpsnet.cli", "train", *arguments, *resume]
    streams = {"stdin": subprocess.DEVNULL, "stdout": file, "stderr": subprocess.STDOUT}
    subprocess.Popen(command, start_new_session=True, **streams)


def _claim(file: BinaryIO, *, alone: bool = True) -> bool:
    """Lock a log, unless a training holds it, which inherits the lock with its output and ends with it."""
    import fcntl  # not on every system

    try:
        fcntl.flock(file, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _finished(log: Path, title: str = "") -> bool:
    """Whether a log is that of a training, of this title if one is given, that has come to its end."""
    text = log.read_text(encoding="utf-8", errors="replace")
    return text.startswith(title) and "\nwrote " in text


def _show(log: Path) -> None:
    """Print a log as it grows, until nobody holds it."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    with log.open("rb") as file:
        ended = False
        while not ended:
            with log.open("rb") as other:
                ended = _claim(other, alone=False)  # asked before the last look
            print(decoder.decode(file.read(), ended), end="", flush=True)
            if not ended:
                time.sleep(POLL)
