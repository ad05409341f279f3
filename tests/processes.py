"""Whether processes have ended."""

import time
from collections.abc import Sequence
from pathlib import Path


def ended(pids: Sequence[int], within: float = 20.0) -> bool:
    """Whether all end in time; one that has ended and was not waited for counts as ended."""
    until = time.monotonic() + within
    while any(map(_alive, pids)):
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
