"""Runs a notebook through papermill: parameters checked first, the output whole or absent.

Papermill alone accepts a mistyped parameter and runs the default experiment, and stores megabytes of
widget state; here the first is refused before anything runs and the second is never written.
"""

import ast
import difflib
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import nbformat
import papermill
import zmq
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode, ValidationError
from nbformat.reader import NotJSONError
from papermill.exceptions import PapermillExecutionError
from traitlets import default

from tpsnet.errors import InputError, NotebookFailed
from tpsnet.io import write_text
from tpsnet.progress import PLAIN

SCALARS = {"int": int, "float": float, "str": str, "bool": bool}
BOOLS = {"true": True, "false": False}


class ThisPython(AsyncKernelManager):
    """Starts the interpreter of this process, whatever kernels are registered on the machine."""

    @default("transport_encryption")
    def _transport_encryption_default(self) -> str:
        # Else other users of the machine could read along, and each kernel begins with a warning about it.
        return "auto" if zmq.has("curve") else "disabled"

    @property
    def kernel_spec(self) -> KernelSpec:
        """The kernel's command, without a look at any kernelspec file."""
        argv = [sys.executable, "-Xfrozen_modules=off", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        # A kernel is interrupted before it is shut down, and calls that an error if it is still busy.
        argv.append("--log-level=CRITICAL")
        encryption = {"supported_encryption": "curve"}
        return KernelSpec(
            argv=argv, env={PLAIN: "1"}, display_name="Python 3", language="python", metadata=encryption
        )


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
    _prepare_place(source, output)
    partial = output.with_name(f".{output.stem}.partial.ipynb")
    failed = output.with_name(f"{output.stem}.failed.ipynb")
    try:
        executed = papermill.execute_notebook(
            source.resolve(),
            partial.resolve(),
            values,
            kernel_name="python3",
            language="python",
            progress_bar=False,
            start_timeout=180,
            cwd=source.resolve().parent,
            stdout_file=sys.stdout,
            store_widget_state=False,
            kernel_manager_class=ThisPython,
            on_cell_start=_progress(f"{label} {source.stem}".strip(), n_cells),
        )
        _finish(executed, source, output)
        write_text(output, nbformat.writes(executed) + "\n")
        failed.unlink(missing_ok=True)
    except PapermillExecutionError as error:
        partial.replace(failed)
        what = f"{error.ename}: {error.evalue}".splitlines()[0].rstrip(": ").removeprefix("InputError: ")
        kind = InputError if error.ename == "InputError" else NotebookFailed
        raise kind(f"{source}, In [{error.exec_count}]: {what} (see {failed})") from None
    except DeadKernelError:
        partial.replace(failed)
        raise NotebookFailed(f"{source}: its kernel died, out of memory perhaps (see {failed})") from None
    finally:
        partial.unlink(missing_ok=True)


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


def check_parameters(source: Path, given: Mapping[str, object]) -> dict[str, object]:
    """Check names and types against the typed parameters cell of ``source``.

    Args:
        source: The notebook.
        given: Values by name. Text, as the command line gives it, is read as the parameter's type.

    Returns:
        The values in the types of the cell.

    Raises:
        InputError: An unknown name, with the nearest known one; a value of another type.
    """
    if not given:
        return {}
    try:
        known = papermill.inspect_notebook(source)
    except ValueError as error:  # no kernel name in the notebook's metadata
        raise InputError(f"{source}: {error}") from None
    typed = {}
    for name, value in given.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
            hint = f"did you mean {near[0]!r}? It has {', '.join(known)}" if near else "it has none"
            raise InputError(f"{source} has no parameter {name!r}: {hint}")
        kind = known[name]["inferred_type_name"]
        try:
            typed[name] = _convert(value, kind)
        except (ValueError, SyntaxError, KeyError):
            raise InputError(f"{source}: parameter {name!r} must be {kind}, not {value!r}") from None
    return typed


def _convert(value: object, kind: str) -> object:
    """``value`` as ``kind`` (a scalar's name, or ``list[scalar]``), or ``ValueError``."""
    if kind.startswith("list["):
        items = ast.literal_eval(value) if isinstance(value, str) else value
        if not isinstance(items, list | tuple):
            raise ValueError(value)
        return [_convert(item, kind[len("list[") : -1]) for item in items]
    if kind == "bool" and isinstance(value, str):
        return BOOLS[value.lower()]
    wanted = SCALARS[kind]
    # True is an int to Python, and 2.5 would be cut to 2.
    if isinstance(value, str) or type(value) is wanted or (wanted is float and type(value) is int):
        return wanted(value)
    raise ValueError(value)


def _count_code_cells(source: Path) -> int:
    """How many cells have something to run."""
    try:
        notebook = nbformat.read(source, as_version=4)
    except (OSError, ValueError, NotJSONError, ValidationError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a notebook"
        raise InputError(f"{source}: {reason}") from None
    return sum(map(_is_counted, notebook.cells))


def _prepare_place(source: Path, output: Path) -> None:
    if output.resolve() == source.resolve():
        raise InputError(f"{output}: the output would overwrite the source; give another name")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{output.parent}: cannot make this folder ({error.strerror})") from None


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
            print(f"{name} … cell {count}/{total}  {time.monotonic() - started:.0f} s", flush=True)

    return on_cell_start


def _finish(executed: NotebookNode, source: Path, output: Path) -> None:
    """Take out what a reader of the file has no use for: stateless widgets, temporary and absolute paths."""
    widgets = executed.metadata.get("widgets", {}).get("application/vnd.jupyter.widget-state+json", {})
    if not widgets.get("state"):
        executed.metadata.pop("widgets", None)  # GitHub refuses to draw a file with widgets but no state
    executed.metadata.papermill.update(input_path=str(source), output_path=str(output))
