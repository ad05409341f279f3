"""Training state on disk, without what the backbone's own file holds already."""

from pathlib import Path

import torch
from torch import Tensor

from tpsnet.errors import InputError
from tpsnet.io import read_tensors, write_tensors
from tpsnet.methods import Method


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


def save_training(path: Path, method: Method, optimizer: torch.optim.Optimizer, meta: dict) -> None:
    """Method and optimiser in one file.

    Random states need no place: every random number of an epoch derives from the seed, the stage and the
    epoch.
    """
    tensors = {f"method.{name}": t for name, t in changed_state(method).items()}
    state = optimizer.state_dict()["state"]
    tensors |= {
        f"optimizer.{i}.{key}": torch.as_tensor(t) for i, slot in state.items() for key, t in slot.items()
    }
    write_tensors(path, tensors, meta)


def load_training(path: Path, method: Method, expected: dict) -> tuple[dict[int, dict[str, Tensor]], dict]:
    """Restore the method; give back the optimiser's state (for its stage) and the meta data.

    Raises:
        InputError: the file belongs to another run; names the first value that differs.
    """
    tensors, meta = read_tensors(path, "remove it or choose another run folder")
    check_same_run(path, meta, expected)
    load_state(method, _under(tensors, "method."), path)
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _under(tensors, "optimizer.").items():
        slot, key = name.split(".", 1)
        state.setdefault(int(slot), {})[key] = tensor
    return state, meta


def check_same_run(path: Path, meta: dict, expected: dict) -> None:
    """Refuse a file whose ``meta["identity"]`` is not the expected one.

    Raises:
        InputError: names the first value that differs.
    """
    found = meta.get("identity", {})
    for key, value in expected.items():
        if found.get(key) != value:
            raise InputError(
                f"{path} was made with {key} = {found.get(key)!r}, not {value!r}; "
                "give the old value or choose another run folder"
            )


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
