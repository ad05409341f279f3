"""Papermill's engine with two bounds: the kernel is this Python, and a cell's printed text ends somewhere.

A loop that prints hundreds of megabytes would else make a notebook that nothing opens, and fill the memory.
"""

import sys
from collections import Counter

import zmq
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbformat import NotebookNode
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine, NotebookExecutionManager, papermill_engines
from traitlets import default

from tpsnet.progress import PLAIN

NAME = "tpsnet"
PRINTED = 200_000  # characters that a cell may print


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


class _Client(PapermillNotebookClient):
    """Leaves out what a cell prints beyond ``PRINTED``, and says so once."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self._printed: Counter[int] = Counter()

    def process_message(self, msg: dict, cell: NotebookNode, cell_index: int) -> NotebookNode | None:
        if msg["msg_type"] == "stream":
            text, before = msg["content"]["text"], self._printed[cell_index]
            self._printed[cell_index] += len(text)
            if before >= PRINTED:
                return None
            if before + len(text) > PRINTED:
                rest = f"\n… this cell prints more than {PRINTED:,} characters: the rest is left out\n"
                msg["content"]["text"] = text[: PRINTED - before] + rest
        return super().process_message(msg, cell, cell_index)


class _Engine(Engine):
    """Executes with ``_Client``."""

    @classmethod
    def execute_managed_notebook(
        cls, nb_man: NotebookExecutionManager, kernel_name: str, **options: object
    ) -> None:
        """Run all cells; called by papermill."""
        known = {"stdout_file", "store_widget_state", "kernel_manager_class", "on_cell_start"}
        chosen = {name: value for name, value in options.items() if name in known}
        chosen["startup_timeout"] = options["start_timeout"]
        _Client(nb_man, kernel_name=kernel_name, **chosen).execute()


papermill_engines.register(NAME, _Engine)
