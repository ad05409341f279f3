"""Files of weights as names and tensors, checked before a network is built: nothing in them is run."""

import math
import warnings
import zipfile
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from tpsnet.errors import InputError
from tpsnet.io import check_file

MEND = "give the network's state_dict, best as safetensors"


def check_weights(file: Path) -> frozenset[str]:
    """The names in a weights file; one that holds no tensors by name is refused.

    Raises:
        InputError: see ``shapes``.
    """
    if file.suffix in (".npz", ".npy"):  # which open_clip reads without pickle
        check_file(file)
        return frozenset()
    return frozenset(shapes(file))


def shapes(file: Path) -> dict[str, tuple[int, ...]]:
    """The shapes in a weights file by name; numbers are not read.

    Args:
        file: Safetensors, or a checkpoint of ``torch.save``, which is unpickled without objects.

    Raises:
        InputError: the file is missing, damaged, empty or holds anything but tensors.
    """
    if file.suffix != ".safetensors":
        return {name: tuple(tensor.shape) for name, tensor in read_state(file).items()}
    check_file(file)
    try:
        with safe_open(file, "pt") as tensors:
            found = {name: tuple(tensors.get_slice(name).get_shape()) for name in tensors.keys()}  # noqa: SIM118
    except Exception as error:  # a damaged file provokes any kind of error
        raise InputError(f"cannot read weights from {file}: {_line(error)}; restore the file") from None
    if not any(map(math.prod, found.values())):
        raise InputError(f"{file} holds no weights; restore the file")
    return found


def read_state(file: Path) -> dict[str, Tensor]:
    """The tensors of safetensors or of ``torch.save``: a state_dict, or a checkpoint of training with one.

    Raises:
        InputError: see ``shapes``, ``unpickled`` and ``check_state``.
    """
    if file.suffix == ".safetensors":
        shapes(file)
        return load_file(file)
    found = unpickled(file)
    return check_state(found.get("state_dict", found) if isinstance(found, dict) else found, file)


def unpickled(file: Path, mend: str = MEND) -> object:
    """What ``torch.save`` wrote: tensors, numbers, texts and plain containers (``weights_only``), no objects.

    Raises:
        InputError: the file is missing, damaged, compressed, or holds anything else.
    """
    check_file(file)
    stored = zipfile.is_zipfile(file)
    try:
        if stored:
            with zipfile.ZipFile(file) as archive:
                if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                    raise InputError(f"{file} is compressed, so its size is unbounded; {mend}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's remarks on the pickle's age
            return torch.load(file, map_location="cpu", weights_only=True, mmap=stored)
    except InputError:
        raise
    except Exception:  # a damaged file provokes any kind of error; torch's own advice is to run what is in it
        raise InputError(f"{file} is damaged or holds more than tensors, which is not run; {mend}") from None


def check_state(state: object, file: Path, mend: str = MEND) -> dict[str, Tensor]:
    """Refuse what is not names and tensors, or a tensor that claims more numbers than the file holds.

    Raises:
        InputError: names the first that is not as it should be.
    """
    if not isinstance(state, dict) or not state:
        raise InputError(f"{file} holds a {type(state).__name__}, not tensors by name; {mend}")
    for name, tensor in state.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor) or tensor.layout != torch.strided:
            raise InputError(f"{file}: {name!r:.80} is a {type(tensor).__name__}, not a tensor; {mend}")
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            shape = tuple(tensor.shape)
            raise InputError(f"{file}: {name:.80} claims {shape}, more numbers than the file holds; {mend}")
    return state


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:150] or type(error).__name__
