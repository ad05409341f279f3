"""The commands by name, of one word or two. Only what a command needs is imported when it is called."""

from collections.abc import Callable, Sequence
from functools import reduce
from importlib import import_module
from operator import or_
from typing import Annotated

import tyro

from tpsnet.cli.paths import PATHS

COMMANDS = {
    "prepare": "prepare:Prepare",
    "prepare weights": "weights:PrepareWeights",
    "shape": "prepare:WriteShape",
    "train": "train:TrainTPSNet",
    "embed": "use:Embed",
    "index": "use:Index",
    "search": "use:Search",
    "report": "report:Report",
    "run": "execute:Run",
    "reproduce": "reproduce:Reproduce",
    "table": "tables:TableOfResults",
    "universal": "tables:UniversalTable",
    "zero-shot": "tables:ZeroShotTable",
}


def parse(argv: Sequence[str]) -> Callable[[], None]:
    """The command that ``argv`` names."""
    words = 2 if " ".join(argv[:2]) in COMMANDS else 1  # a folder that is called weights is ./weights
    name, rest = " ".join(argv[:words]), argv[words:]
    if name == "train":
        from tpsnet.cli.train import parse_train

        return parse_train(rest)
    if name in COMMANDS:
        return tyro.cli(_command(name), prog=f"tpsnet {name}", args=rest, registry=PATHS)
    every = (Annotated[_command(name), tyro.conf.subcommand(name)] for name in COMMANDS)
    return tyro.cli(reduce(or_, every), prog="tpsnet", args=argv, registry=PATHS)


def _command(name: str) -> Callable[..., Callable[[], None]]:
    module, kind = COMMANDS[name].split(":")
    return getattr(import_module(f"tpsnet.cli.{module}"), kind)
