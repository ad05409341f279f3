"""Work of a moment for tests of jobs: functions that any process can import by their names."""

import os
import signal
import time
from pathlib import Path

from tpsnet.errors import InputError


def square(number: int) -> dict:
    return {"square": number**2}


def environment(*names: str) -> dict:
    return {"values": [os.environ.get(name) for name in names]}


def refuse(number: int) -> dict:
    raise InputError(f"{number} is not a number")


def stumble(number: int) -> dict:
    raise ZeroDivisionError(f"by {number}\nand more")


def die(calls: str, lives: int) -> dict:
    """Note the call in a file; the process is killed if it is one of the first so many."""
    with Path(calls).open("a") as file:
        file.write(f"{os.getpid()}\n")
    if len(Path(calls).read_text().splitlines()) <= lives:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"calls": lives + 1}


def wait_for(calls: str, go: str) -> dict:
    """Note the call in a file, then wait for another file."""
    with Path(calls).open("a") as file:
        file.write(f"{os.getpid()}\n")
    until = time.monotonic() + 300  # of a test that has failed nothing stays behind
    while not Path(go).exists():
        if time.monotonic() > until:
            raise TimeoutError(go)
        time.sleep(0.05)
    return {"went": True}


def do(name: str, *arguments: object) -> dict:
    """Any of these, by its name."""
    return globals()[name](*arguments)
