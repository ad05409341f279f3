"""Runs a notebook through papermill: parameters checked first, the output whole or absent.

Papermill alone accepts a mistyped parameter and runs the default experiment, and stores megabytes of
widget state; here the first is refused before anything runs and the second is never written.
"""

import logging
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from io import TextIOBase
from pathlib import Path

import nbformat
import papermill
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode, ValidationError
from nbformat.reader import NotJSONError
from papermill.exceptions import PapermillExecutionError

from tpsnet.cli.engine import NAME, ThisPython
from tpsnet.cli.parameters import check_parameters
from tpsnet.errors import InputError, NotebookFailed
from tpsnet.escape import printable
from tpsnet.io import write_text
from tpsnet.paths import check_output


class _Printable:
    """A stream for what cells print: names that they print act on the terminal as little as our own do."""

    def __init__(self, stream: TextIOBase) -> None:
        self.stream, self.flush = stream, stream.flush

    def write(self, text: str) -> None:
        self.stream.write(re.sub(r"[^\n\t]+", lambda part: printable(part[0]), text))


def run_notebook(
    source: Path,
    output: Path,
    parameters: Mapping[str, object] | None = None,
    *,
    label: str = "",
) -> None:
    """Execute ``source`` in its own folder and write the executed notebook to ``output``.

    What the cells print appears on stdout as they print it, between one line per cell.

    Args:
        source: A notebook whose first code cell is tagged ``parameters``.
        output: Replaced only by a notebook that ran to its end. After a failing cell the partial
            notebook stands beside it as ``<name>.failed.ipynb``.
        parameters: Values for names of the parameters cell; text is read as the parameter's type.
        label: Put before the notebook's name in the progress lines, e.g. ``"[2/5]"``.

    Raises:
        InputError: No such notebook, an unknown parameter, a value of the wrong type; the output cannot be
            written; or a cell raised it.
        NotebookFailed: A cell raised another error.
    """
    n_cells = _count_code_cells(source)
    values = check_parameters(source, parameters or {})
    output = _prepare_place(source, output)
    logging.getLogger("papermill").setLevel(logging.ERROR)  # it cannot read every parameters cell, and warns
    failed = output.with_name(f"{output.stem[:50]}.failed.ipynb")
    with tempfile.TemporaryDirectory(prefix="tpsnet-") as scratch:
        partial = Path(scratch) / "partial.ipynb"
        try:
            executed = papermill.execute_notebook(
                _literal(source.resolve()),
                _literal(partial),
                values,
                engine_name=NAME,
                kernel_name="python3",
                language="python",
                progress_bar=False,
                start_timeout=180,
                cwd=source.resolve().parent,
                stdout_file=_Printable(sys.stdout),
                store_widget_state=False,
                kernel_manager_class=ThisPython,
                on_cell_start=_progress(f"{label} {source.stem}".strip(), n_cells),
            )
        except PapermillExecutionError as error:
            place = _keep(partial, failed)
            what = f"{error.ename}: {error.evalue}".splitlines()[0].rstrip(": ").removeprefix("InputError: ")
            kind = InputError if error.ename == "InputError" else NotebookFailed
            raise kind(f"{source}, In [{error.exec_count}]: {what} ({place})") from None
        except DeadKernelError:
            place = _keep(partial, failed)
            raise NotebookFailed(f"{source}: its kernel died, out of memory perhaps ({place})") from None
    _finish(executed, source, output)
    _write(output, executed)
    failed.unlink(missing_ok=True)


def _literal(path: Path) -> str:
    """A path in which papermill finds nothing to fill in."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _keep(partial: Path, failed: Path) -> str:
    """Put what was executed so far where the user finds it; says where."""
    try:
        write_text(failed, partial.read_text(encoding="utf-8"))
    except InputError as error:
        return str(error)
    return f"see {failed}"


def _write(output: Path, executed: NotebookNode) -> None:
    """Write an executed notebook; where that fails it is kept beside its place, or in a temporary one."""
    text = nbformat.writes(executed) + "\n"
    try:
        write_text(output, text)
    except InputError as error:
        beside = output.with_name(f"{output.stem[:50]}.executed.ipynb")
        for kept in (beside, Path(tempfile.gettempdir()) / beside.name):
            try:
                write_text(kept, text)
            except InputError:
                continue
            raise InputError(f"{error}; the executed notebook is kept as {kept}") from None
        raise


def run_all(folder: Path, run: Path) -> None:
    """Execute the numbered notebooks of a folder in order, into ``run``, which they share.

    Raises:
        InputError: The folder holds no numbered notebook.
    """
    sources = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    if not sources:
        raise InputError(f"{folder}: no numbered notebook here; name the folder that holds 01_….ipynb")
    place = os.path.relpath(run.resolve(), folder.resolve())  # executed files name no path of this machine
    for number, source in enumerate(sources, start=1):
        run_notebook(source, run / source.name, {"run": place}, label=f"[{number}/{len(sources)}]")


def _count_code_cells(source: Path) -> int:
    """How many cells have something to run."""
    try:
        notebook = nbformat.read(source, as_version=4)
    except (OSError, ValueError, NotJSONError, ValidationError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a notebook"
        raise InputError(f"{source}: {reason}") from None
    return sum(map(_is_counted, notebook.cells))


def _prepare_place(source: Path, output: Path) -> Path:
    """The file to write, after trying whether that is possible at all."""
    if output.resolve() == source.resolve():
        raise InputError(f"{output}: the output would overwrite the source; give another name")
    if output.is_dir():
        raise InputError(f"{output} is a folder; give a file, e.g. {output / source.name}")
    output = check_output(output)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=output.parent):
            pass
        if output.exists():
            output.open("r+b").close()
    except OSError as error:
        raise InputError(f"{output}: cannot write there ({error.strerror}); choose another place") from None
    return output


def _is_counted(cell: NotebookNode) -> bool:
    return (
        cell.cell_type == "code"
        and bool(cell.source.strip())
        and "injected-parameters" not in cell.metadata.get("tags", ())
    )


def _progress(name: str, total: int) -> Callable[..., None]:
    """A hook that prints one line as each code cell starts: sparse enough for a log file."""
    started = time.monotonic()
    count = 0

    def on_cell_start(cell: NotebookNode, cell_index: int) -> None:
        nonlocal count
        if _is_counted(cell):
            count += 1
            line = f"{name} … cell {count}/{total}  {time.monotonic() - started:.0f} s"
            print(printable(line), flush=True)

    return on_cell_start


def _finish(executed: NotebookNode, source: Path, output: Path) -> None:
    """Take out what a reader of the file has no use for: widgets without state, temporary and absolute paths.

    What they leave is their still image: without a kernel the widget itself would hide it, in HTML for one.
    """
    executed.metadata.pop("widgets", None)  # GitHub refuses to draw a file with widgets but no state
    for cell in executed.cells:
        for shown in cell.get("outputs", ()):
            if len(shown.get("data", ())) > 1:
                shown.data.pop("application/vnd.jupyter.widget-view+json", None)
    executed.metadata.papermill.update(input_path=str(source), output_path=str(output))
