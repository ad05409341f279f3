"""The commands by name. Only what a command needs is imported when it is called."""

from collections.abc import Callable, Sequence
from functools import reduce
from importlib import import_module
from operator import or_
from typing import Annotated

import tyro

COMMANDS = {
    "prepare": "prepare:Prepare",
    "shape": "prepare:WriteShape",
    "train": "train:TrainTPSNet",
    "embed": "use:Embed",
    "search": "use:Search",
    "run": "execute:Run",
    "reproduce": "tables:Reproduce",
    "table": "tables:TableOfResults",
    "universal": "tables:UniversalTable",
    "zero-shot": "tables:ZeroShotTable",
}


def parse(argv: Sequence[str]) -> Callable[[], None]:
    """The command that ``argv`` names."""
    name, rest = (argv[0], argv[1:]) if argv else ("", ())
    if name == "train":
        from tpsnet.cli.train import parse_train

        return parse_train(rest)
    if name in COMMANDS:
        return tyro.cli(_command(name), prog=f"tpsnet {name}", args=rest)
    every = (Annotated[_command(name), tyro.conf.subcommand(name)] for name in COMMANDS)
    return tyro.cli(reduce(or_, every), prog="tpsnet", args=argv)


def _command(name: str) -> Callable[..., Callable[[], None]]:
    module, kind = COMMANDS[name].split(":")
    return getattr(import_module(f"tpsnet.cli.{module}"), kind)
