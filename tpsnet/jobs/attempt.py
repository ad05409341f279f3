"""One job, and what came of it: its result, or why there is none. JSON holds both."""

import json
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tpsnet.errors import MEMORY_FULL, InputError, memory_is_full


@dataclass(frozen=True)
class Outcome:
    """What came of a job.

    Attributes:
        result: What the work gave back, as JSON gives it; ``None`` if it failed.
        seconds: How long it took.
        reason: Why it failed, in one line.
        mendable: Whether the user can mend that.
        trace: The traceback, or the end of the log.
    """

    result: dict | None = None
    seconds: float = 0.0
    reason: str = ""
    mendable: bool = False
    trace: str = ""


def attempt(
    work: Callable[..., dict], arguments: Sequence, through: tuple[type[BaseException], ...] = ()
) -> Outcome:
    """Do one job; an error becomes its outcome.

    Args:
        work: From arguments to a result that JSON can hold.
        arguments: What it is called with.
        through: Errors that are raised all the same.
    """
    start = time.monotonic()
    try:
        return Outcome(json.loads(json.dumps(work(*arguments))), time.monotonic() - start)
    except through:
        raise
    except Exception as error:
        return failed(error)


def failed(error: BaseException) -> Outcome:
    """The outcome of a job that ended with an error."""
    full = memory_is_full(error)
    mendable = full or isinstance(error, InputError)
    first = next(iter(str(error).splitlines()), "")
    reason = first if isinstance(error, InputError) else f"{type(error).__name__}: {first}".rstrip(": ")
    trace = "".join(traceback.format_exception(error))
    return Outcome(reason=MEMORY_FULL if full else reason, mendable=mendable, trace=trace)
