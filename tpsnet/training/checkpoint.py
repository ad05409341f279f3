"""Training state on disk, without what the backbone's own file holds already."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from tpsnet.errors import InputError
from tpsnet.io import read_tensors, write_tensors
from tpsnet.methods import Method

MEND = "remove it or choose another run folder"
# Values that files of before do not have: their images tell of the resize, their weights of the activation.
LATER = ("data.preprocessing", "data.quick_gelu")
# What is meant where files of before do not say it.
BEFORE = {
    "fit.optimizer": "adamw",
    "fit.tower.precision": "auto",
    "method.layers.layer_decay": 1.0,
    "method.layers.locked": 0,
}
MOMENTS = ("exp_avg", "exp_avg_sq", "momentum_buffer")  # of a parameter's shape; the count of steps is not
KEPT = {"AdamW": ("step", "exp_avg", "exp_avg_sq"), "SGD": ("momentum_buffer",)}  # for each parameter
Natural = Annotated[int, Field(ge=0)]


@dataclass(frozen=True)
class EpochRow:
    """An epoch in the log."""

    stage: str
    epoch: Natural
    losses: dict[str, float]
    shares: dict[str, float]
    seconds: float


@dataclass(frozen=True)
class TrainingHead:
    """What a checkpoint holds beside its tensors."""

    identity: dict[str, Any]
    next_position: tuple[Natural, Natural]
    rows: list[EpochRow]
    format: Literal[1] = 1  # files before had the same form without a number


def changed_state(method: Method) -> dict[str, Tensor]:
    """Weights and buffers of a method, without the tensors of its backbone that are as they were loaded."""
    given = {f"backbone.{name}": t for name, t in method.given.state_dict().items()}
    return {
        name: t
        for name, t in method.state_dict().items()
        if name not in given or not torch.equal(t, given[name])
    }


def load_state(method: Method, saved: dict[str, Tensor], path: Path) -> None:
    """Put back what ``changed_state`` gave; the rest of the backbone is as it was loaded.

    Raises:
        InputError: names or shapes do not fit.
    """
    own = set(method.state_dict())
    given = {f"backbone.{name}": t for name, t in method.given.state_dict().items()}
    try:
        method.load_state_dict({name: t for name, t in given.items() if name in own} | saved)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path} does not fit ({reason}); choose another run folder") from None


def save_training(
    path: Path, method: Method, optimizer: torch.optim.Optimizer, meta: dict[str, object]
) -> None:
    """Method and optimiser in one file, with the fields of a ``TrainingHead``.

    Random states need no place: every random number of an epoch derives from the seed, the stage and the
    epoch.
    """
    tensors = {f"method.{name}": t for name, t in changed_state(method).items()}
    state = optimizer.state_dict()["state"]
    tensors |= {
        f"optimizer.{i}.{key}": torch.as_tensor(t) for i, slot in state.items() for key, t in slot.items()
    }
    write_tensors(path, tensors, meta | {"format": TrainingHead.format})


def load_training(path: Path, method: Method, expected: dict) -> tuple[dict[str, Tensor], TrainingHead]:
    """Restore the method; give back the optimiser's tensors (see ``load_optimizer``) and the meta data.

    Raises:
        InputError: the file is damaged, or belongs to another run; names the first value that differs, or
            there is no such stage or epoch in this one.
    """
    tensors, head = read_tensors(path, MEND, TrainingHead)
    check_same_run(path, head.identity, expected)
    lengths = [stage.epochs for stage in method.stages()]
    stage, epoch = head.next_position
    if (
        stage > len(lengths)
        or epoch >= [*lengths, 1][stage]
        or len(head.rows) != sum(lengths[:stage]) + epoch
    ):
        raise InputError(
            f"{path}: next_position is stage {stage}, epoch {epoch} after {len(head.rows)} epochs, and the "
            f"stages have {lengths}; {MEND}"
        )
    load_state(method, _under(tensors, "method."), path)
    return _under(tensors, "optimizer."), head


def load_optimizer(optimizer: torch.optim.Optimizer, saved: dict[str, Tensor], path: Path) -> None:
    """Put back the optimiser's part of ``save_training``, for the stage that it belongs to.

    Raises:
        InputError: an entry is missing, is none of this optimiser's or has another shape.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    slots = {name.split(".", 1)[0] for name in saved}
    shapes = {
        f"{i}.{key}": tuple(p.shape) if key in MOMENTS else ()
        for i, p in enumerate(parameters)
        if f"{i}" in slots
        for key in KEPT[type(optimizer).__name__]
    }
    for name in sorted({*saved, *shapes}):
        there, wanted = tuple(saved[name].shape) if name in saved else "missing", shapes.get(name, "missing")
        if there != wanted:
            raise InputError(f"{path}: the optimiser's {name:.80} is {there}, not {wanted}; {MEND}")
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in saved.items():
        slot, key = name.split(".", 1)
        state.setdefault(int(slot), {})[key] = tensor
    optimizer.load_state_dict(optimizer.state_dict() | {"state": state})


def check_same_run(path: Path, found: dict, expected: dict) -> None:
    """Refuse a file with another identity than the expected one.

    Raises:
        InputError: names the first value that differs.
    """
    for key, value in expected.items():
        if key in LATER and key not in found:
            continue
        there = found.get(key, BEFORE.get(key))
        if there != value:
            raise InputError(
                f"{path} was made with {key} = {there!r}, not {value!r}; "
                "give the old value or choose another run folder"
            )


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
