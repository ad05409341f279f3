"""Progress with remaining time: a bar in a terminal, one updated line in a notebook, sparse lines elsewhere.

``run_notebook`` chooses the sparse lines by ``PLAIN`` in the kernel's environment: it passes them on to
whoever waits for it, and the executed file ends with the finished line, not with a bar frozen at 0 %.
"""

import os
import sys
import time
from collections.abc import Mapping
from types import TracebackType

from tpsnet.escape import printable

PLAIN = "TPSNET_PLAIN_PROGRESS"


class Progress:
    """Counts steps, of one kind or of several parts that follow one another.

    The time left is that of the present part, by its own steps: how long those of a later part take, nobody
    knows yet.

    Args:
        parts: How many steps there are, in all or in each part by its name.
        what: A word or two that stand in front.
    """

    def __init__(self, parts: int | Mapping[str, int], what: str) -> None:
        self.parts = [("", parts)] if isinstance(parts, int) else [(n, k) for n, k in parts.items() if k]
        self.what, self.part, self.done = what, 0, 0
        self.start = self.begun = self.shown = time.monotonic()
        self.notebook = _in_notebook()
        self.terminal = not self.notebook and sys.stderr.isatty()
        self.handle = None

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.terminal:
            sys.stderr.write("\n")

    def skip(self, steps: int) -> None:
        """Steps that an earlier run has done: they count as done, not as speed."""
        while steps and self.part < len(self.parts):
            name, total = self.parts[self.part]
            taken = min(steps, total)
            self.parts[self.part] = name, total - taken
            self.part, steps = self.part + (taken == total), steps - taken

    def step(self, note: str = "", left: str | None = None) -> None:
        """One more step is done.

        Args:
            note: Stands at the end of the line.
            left: What is left, in words, where the caller knows it better than the mean over steps does;
                with an empty text the line does not say.
        """
        self.done += 1
        now, over = time.monotonic(), self.done == self.parts[self.part][1]
        if (over and self.part + 1 == len(self.parts)) or now - self.shown >= self._interval(now):
            self.shown = now
            self._show(self._line(now, note, left))
        if over:
            self.part, self.done, self.begun = self.part + 1, 0, now

    def say(self, line: str) -> None:
        """A line of its own, which stays."""
        if self.terminal:
            sys.stderr.write(f"\r\x1b[K{printable(line)}\n")
            sys.stderr.flush()
        else:
            print(printable(line), flush=True)

    def _interval(self, now: float) -> float:
        """Seconds between two lines; in an executed notebook, where lines stay, they grow."""
        if self.terminal:
            return 0.2
        if self.notebook:
            return 1.0
        return max(15.0, (now - self.start) / 3) if PLAIN in os.environ else 15.0

    def _line(self, now: float, note: str, left: str | None) -> str:
        name, total = self.parts[self.part]
        if left is None:
            left = f"{clock((now - self.begun) / self.done * (total - self.done))} left"
        several = f", {name} ({self.part + 1} of {len(self.parts)})" if name else ""
        then = f", then {self.parts[self.part + 1][0]}" if self.part + 1 < len(self.parts) else ""
        share = f"{self.what}{several} {100 * self.done // total:3d} %"
        times = " · ".join(filter(None, [f"{clock(now - self.start)} spent", left]))
        line = f"{share} · {times}{then}  {note}"
        return printable(line.rstrip())

    def _show(self, line: str) -> None:
        if self.terminal:
            sys.stderr.write(f"\r\x1b[K{line}")
            sys.stderr.flush()
        elif self.notebook:
            from IPython.display import display

            content = {"text/plain": line}
            if self.handle is None:
                self.handle = display(content, raw=True, display_id=True)
            else:
                self.handle.update(content, raw=True)
        else:
            print(line, flush=True)


def clock(seconds: float) -> str:
    """Minutes and seconds, with hours when there are any."""
    whole = round(seconds)
    hours, minutes = whole // 3600, whole % 3600 // 60
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


def in_words(seconds: float) -> str:
    """About how long that is, in the two largest units."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return "under a minute"
    days, hours = minutes // 1440, minutes % 1440 // 60
    parts = {"day": days, "hour": hours, "minute": 0 if days else minutes % 60}
    return "about " + " ".join(f"{n} {unit}{'s' * (n > 1)}" for unit, n in parts.items() if n)


def _in_notebook() -> bool:
    shell = sys.modules.get("IPython") if PLAIN not in os.environ else None
    return shell is not None and type(shell.get_ipython()).__name__ == "ZMQInteractiveShell"
