"""``tpsnet run``: a notebook, executed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from tpsnet.cli.notebooks import run_notebook
from tpsnet.errors import InputError

Parameters = Annotated[
    tuple[str, ...], tyro.conf.arg(aliases=["-p"], metavar="NAME=VALUE"), tyro.conf.UseAppendAction
]


@dataclass(frozen=True)
class Run:
    """Execute a notebook with papermill, its parameters checked first."""

    notebook: tyro.conf.Positional[Path]
    """The notebook to run, in its own folder."""
    output: tyro.conf.Positional[Path]
    """The executed notebook; written only when it has run to its end."""
    parameters: Parameters = ()
    """A value for a name of the parameters cell; may be repeated."""

    def __call__(self) -> None:
        """Run it."""
        run_notebook(self.notebook, self.output, dict(_split(text) for text in self.parameters))


def _split(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise InputError(f"-p {text}: write it as name=value")
    return name, value
