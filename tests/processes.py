"""Whether processes have ended, and what killed ones leave."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tpsnet.paths import partial_beside


def ended(pids: Sequence[int], within: float = 20.0) -> bool:
    """Whether all end in time; one that has ended and was not waited for counts as ended."""
    until = time.monotonic() + within
    while any(map(_alive, pids)):
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True


def dead() -> int:
    """The number of a process that has ended."""
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


def partial_of(number: int, path: Path) -> Path:
    """A folder, half-written, that a process of this machine makes on its way to ``path``."""
    ours = partial_beside(path)
    partial = ours.with_name(ours.name.replace(f"-{os.getpid()}-", f"-{number}-"))
    partial.mkdir()
    (partial / "half").write_text("x")
    return partial


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
