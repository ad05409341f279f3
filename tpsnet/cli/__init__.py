"""The command line, ``tpsnet COMMAND``; ``tpsnet --help`` lists the commands.

====  ===========================================================================
exit  what has happened
====  ===========================================================================
0     all is done
1     a notebook's cell or a row failed, or an error that nobody foresaw (its traceback is kept in a file)
2     the user can mend it; one line says how
130   interrupted (Ctrl-C); 141: nobody reads the output any more; 143: terminated
====  ===========================================================================
"""

import logging
import os
import select
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

from tpsnet.cli.startup import check_installation
from tpsnet.errors import (
    LAST_WORDS,
    MEMORY_FULL,
    ChildFailed,
    InputError,
    NotebookFailed,
    PeerLost,
    RowsFailed,
    leave_last_words,
    memory_is_full,
)
from tpsnet.escape import printable

ENDED_BY_SIGNAL = 128  # and the signal's number on top, as shells count


def main(argv: Sequence[str] | None = None) -> int:
    """Check the installation, parse ``argv``, run the command; returns the exit code."""
    argv = sys.argv[1:] if argv is None else list(argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a character shows "?"
    logging.basicConfig(format="%(message)s")  # before TensorBoard does, with a name in front of each line
    try:
        with _terminable():
            try:
                return _run(argv)
            finally:
                if sys.stdout:  # a daemon may have closed it
                    sys.stdout.flush()
    except OSError as error:
        unread = any(map(_nobody_reads, (sys.stdout, sys.stderr)))
        if not unread:
            _tell(f"{error.filename or 'output'}: {error.strerror or error}", 2)
        _let_go()
        return ENDED_BY_SIGNAL + signal.SIGPIPE if unread else 2


def _run(argv: list[str]) -> int:
    try:
        if argv[:1] != ["run"]:  # which looks at the notebook first, and needs no torch for that
            check_installation()
        # Imported after the check, which else came too late to name a broken installation.
        from tpsnet.cli.commands import parse

        parse(argv)()
    except PeerLost as error:  # the other one has told why
        return 2 if LAST_WORDS in os.environ else _tell(str(error), 2)
    except InputError as error:
        return _tell(str(error), 2)
    except ChildFailed as error:
        return _tell(str(error), error.code) if str(error) else error.code
    except NotebookFailed as error:
        return _tell(str(error), 1)
    except RowsFailed as error:
        for failure in error.failures:
            _tell(f"failed: {failure}")
        return _tell(str(error), 2 if error.mendable else 1)
    except KeyboardInterrupt:
        return _tell("interrupted", ENDED_BY_SIGNAL + signal.SIGINT)
    except OSError:
        raise
    except Exception as error:
        if memory_is_full(error):
            return _tell(MEMORY_FULL, 2)
        return _tell(_unforeseen(error, argv), 1)
    return 0


def _tell(text: str, code: int = 0) -> int:
    with suppress(OSError):  # there may be nobody to tell
        if code and leave_last_words(text, code):
            return code
        print(f"tpsnet: {printable(text)}", file=sys.stderr, flush=True)
    return code


def _unforeseen(error: Exception, argv: list[str]) -> str:
    """One line about a fault of ours; the traceback goes to a file."""
    name = f"tpsnet-error-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    file = Path(tempfile.gettempdir()) / name
    what = f"{type(error).__name__}: {error}".splitlines()[0]
    account = f"tpsnet {argv}\nPython {sys.version}\n\n{''.join(traceback.format_exception(error))}"
    try:
        file.write_text(account, encoding="utf-8", errors="backslashreplace")
    except OSError:
        return f"{what}; an error that nobody foresaw, please report it"
    return f"{what}; an error that nobody foresaw, please report it with {file}"


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM ends the command as an exit does: what is half-written is removed, workers and kernels end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, frame: object) -> None:
        sys.exit(ENDED_BY_SIGNAL + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _nobody_reads(stream: TextIO) -> bool:
    """Whether a stream is a pipe whose reader is gone, as after ``| head``."""
    try:
        watch = select.poll()
        watch.register(stream.fileno(), 0)
        return any(event & select.POLLERR for _, event in watch.poll(0))
    except (OSError, ValueError, AttributeError):  # no file, or no poll on this system
        return False


def _let_go() -> None:
    """Where output cannot be written, send what is left of it nowhere: Python would complain once more."""
    try:
        if sys.stdout:
            sys.stdout.flush()
    except OSError:
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
