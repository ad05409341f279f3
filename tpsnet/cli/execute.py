"""``tpsnet run``: a notebook, executed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from tpsnet.cli.parameters import check_parameters
from tpsnet.cli.startup import check_installation
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
        given = check_parameters(self.notebook, dict(map(_split, self.parameters)), Path.cwd())
        check_installation()
        from tpsnet.cli.notebooks import run_notebook  # seconds, which a slip need not wait for

        run_notebook(self.notebook, self.output, given)


def _split(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise InputError(f"-p {text}: write it as name=value")
    return name, value
