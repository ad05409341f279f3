"""The errors that end a command in one line, and those of rows that fail while others go on."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tpsnet.escape import printable

MEMORY_FULL = "memory is full; take a smaller batch or fewer workers"


class InputError(Exception):
    """Something the user gave cannot be used; the message is one line: what, where, how to mend it.

    The command line prints the message and exits with code 2. What a name or another error in the message
    would do to the line is shown instead (``escape.printable``). It is no ``ValueError``: the parsers of
    options and of JSON take those for their own, and would wrap the line into more.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class PeerLost(InputError):
    """Of several processes that train together another one has ended: the reason is there, not here."""


class ChildFailed(RuntimeError):
    """A process that this one has started ended badly; the command line prints its line, and ends alike."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(printable(message))
        self.code = code


# Names the folder in which each process of several leaves its last line, for the one that has started them.
LAST_WORDS = "TPSNET_LAST_WORDS"


def leave_last_words(text: str, code: int) -> bool:
    """Leave the line that ends this process to the one that has started it; whether there is such a one."""
    folder = os.environ.get(LAST_WORDS)
    if folder is None:
        return False
    file = Path(folder) / f"{os.environ.get('RANK', '0')}.json"
    file.write_text(json.dumps([text, code]), encoding="utf-8")
    return True


class NotebookFailed(RuntimeError):
    """A cell raised, or the kernel died; one line says where, what, and where the partial notebook is.

    The command line prints the message and exits with code 1.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


@dataclass(frozen=True)
class Failure:
    """A row that could not be made.

    Attributes:
        title: What the row is called.
        reason: Why, in one line.
        file: Where the traceback is.
        mendable: Whether the user can mend it, as an ``InputError`` says; else it is a fault of the program.
    """

    title: str
    reason: str
    file: Path
    mendable: bool

    def __str__(self) -> str:
        return printable(f"{self.title}: {self.reason} ({self.file})")


class RowsFailed(RuntimeError):
    """Some rows could not be made; all others are done and kept.

    The command line prints a line for each and exits with code 2 if the user can mend them all, else with 1.

    Attributes:
        failures: The rows that failed.
        results: Those that are there, in the order of the jobs.
    """

    def __init__(self, failures: Sequence[Failure], results: Sequence[dict] = ()) -> None:
        rows = "1 row" if len(failures) == 1 else f"{len(failures)} rows"
        super().__init__(f"{rows} failed, the others are done; the same call tries again")
        self.failures, self.results = list(failures), list(results)

    @property
    def mendable(self) -> bool:
        """Whether the user can mend all of them."""
        return all(failure.mendable for failure in self.failures)


def memory_is_full(error: BaseException) -> bool:
    """Whether an error says that the memory of the processor or of a GPU does not suffice."""
    torch_on_a_processor = "can't allocate memory"
    return (
        isinstance(error, MemoryError)
        or "OutOfMemory" in type(error).__name__
        or torch_on_a_processor in str(error)
    )
