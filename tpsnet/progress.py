"""Progress with remaining time: a bar in a terminal, one updated line in a notebook, sparse lines elsewhere.

``run_notebook`` chooses the sparse lines by ``PLAIN`` in the kernel's environment: it passes them on to
whoever waits for it, and the executed file ends with the finished line, not with a bar frozen at 0 %.
"""

import os
import sys
import time
from types import TracebackType

PLAIN = "TPSNET_PLAIN_PROGRESS"


class Progress:
    """Counts steps of a known total.

    Args:
        total: How many steps there are.
        what: A word or two that stand in front.
    """

    def __init__(self, total: int, what: str) -> None:
        self.total, self.what, self.done = total, what, 0
        self.start = self.shown = time.monotonic()
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
        self.total -= steps

    def step(self, note: str = "") -> None:
        """One more step is done; ``note`` stands at the end of the line."""
        self.done += 1
        now, last = time.monotonic(), self.done == self.total
        interval = 0.2 if self.terminal else 1.0 if self.notebook else 15.0
        if not last and now - self.shown < interval:
            return
        self.shown = now
        self._show(self._line(now - self.start, note))

    def _line(self, spent: float, note: str) -> str:
        left = spent / self.done * (self.total - self.done)
        share = 100 * self.done // self.total
        return f"{self.what} {share:3d} % · {clock(spent)} spent · {clock(left)} left  {note}".rstrip()

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


def _in_notebook() -> bool:
    shell = sys.modules.get("IPython") if PLAIN not in os.environ else None
    return shell is not None and type(shell.get_ipython()).__name__ == "ZMQInteractiveShell"
