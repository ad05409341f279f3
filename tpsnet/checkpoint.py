"""Weights and training state on disk: safetensors, never a pickle, never half a file."""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from tpsnet.files import replacing
from tpsnet.types import InputError


def write_tensors(path: Path, tensors: dict[str, Tensor], meta: dict) -> None:
    """Write tensors and JSON-able ``meta`` to a temporary name, then put it in place.

    Raises:
        InputError: the file cannot be written, e.g. the disk is full; the older file stays.
    """
    flat = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    with replacing(path) as partial:
        save_file(flat, partial, metadata={"meta": json.dumps(meta)})


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict]:
    """What ``write_tensors`` wrote.

    Raises:
        InputError: the file is missing or damaged.
    """
    try:
        with safe_open(path, "pt") as file:
            names = file.keys()
            return {name: file.get_tensor(name) for name in names}, json.loads(file.metadata()["meta"])
    except (OSError, SafetensorError, TypeError, KeyError) as error:
        raise InputError(f"cannot read {path} ({error}); remove it or choose another run folder") from None


def save_training(path: Path, method: nn.Module, optimizer: torch.optim.Optimizer, meta: dict) -> None:
    """Weights, buffers and optimiser state in one file.

    Random states need no place: every random number of an epoch derives from the seed, the stage and the
    epoch.
    """
    tensors = {f"method.{name}": t for name, t in method.state_dict().items()}
    state = optimizer.state_dict()["state"]
    tensors |= {
        f"optimizer.{i}.{key}": torch.as_tensor(t) for i, slot in state.items() for key, t in slot.items()
    }
    write_tensors(path, tensors, meta)


def load_training(path: Path, method: nn.Module, expected: dict) -> tuple[dict, dict]:
    """Restore the method; give back the optimiser's state (for its stage) and the meta data.

    Raises:
        InputError: the file belongs to a run with other settings or data; names the first that differs.
    """
    tensors, meta = read_tensors(path)
    for key, value in expected.items():
        if meta["settings"].get(key) != value:
            raise InputError(
                f"{path} was made with {key} = {meta['settings'].get(key)!r}, not {value!r}; "
                "give the old value or choose another run folder"
            )
    try:
        method.load_state_dict(_under(tensors, "method."))
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path} does not fit ({reason}); choose another run folder") from None
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _under(tensors, "optimizer.").items():
        slot, key = name.split(".", 1)
        state.setdefault(int(slot), {})[key] = tensor
    return state, meta


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
