"""Several processes that train one model: who this one is, its share of the work, and what all must agree on.

The image tower is shared out, everything else stays whole. Each process encodes its rows of a batch, all rows
are gathered, and each goes on with the whole batch: negatives, k-means, memory banks, graphs and losses are
those of one process, and no method has a line for it.

Gradients: all processes compute the same loss from the gathered rows. The backward pass of ``gathered`` sums
their gradients, so a process's part of the tower's gradient comes out ``size()`` times too large; their mean
over the processes is the gradient of the whole batch. What works on the gathered rows has the whole gradient
everywhere, which is its own mean. So ``average_gradients`` is right for both.

``DistributedDataParallel`` is not used: it wants the loss of each process's own rows, and a contrast needs
all of them. What it does better is to send gradients while others are still computed.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Float, Int
from torch import Tensor

from tpsnet.errors import InputError, PeerLost

PATIENCE = timedelta(hours=2)  # for the first process while it decodes, writes or scores; the others wait
_together: ContextVar[bool] = ContextVar("together", default=False)


def size() -> int:
    """Number of processes that train together; 1 for a process alone."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def is_first() -> bool:
    """Whether this process is the one that writes; a process alone always is."""
    return size() == 1 or dist.get_rank() == 0


def started() -> int:
    """As how many processes ``torchrun`` or a cluster has started this program, by WORLD_SIZE.

    Raises:
        InputError: it is no number.
    """
    return _number("WORLD_SIZE", 1)


@contextmanager
def joined(device: str) -> Iterator[None]:
    """Join the processes that ``torchrun`` or a cluster has started, as RANK and WORLD_SIZE tell.

    Without these nothing happens. Each process takes one GPU of its machine; ``"cuda"`` then means its own.

    Args:
        device: Where to compute: ``"cpu"`` (gloo) or ``"cuda"`` (NCCL).

    Raises:
        InputError: the variables make no sense, the others cannot be reached, or a GPU is missing.
    """
    if started() == 1 or dist.is_initialized():
        yield
        return
    on_gpu = torch.device(device).type == "cuda"
    if on_gpu:
        _take_gpu(device, _number("LOCAL_RANK", 0))
    try:
        dist.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo", timeout=PATIENCE)
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"cannot join the other processes ({reason}); start them with --nproc or torchrun"
        ) from None
    yield
    # After an error the others may never answer: then the group ends with the process.
    dist.destroy_process_group()


def _take_gpu(device: str, local: int) -> None:
    if torch.device(device).index is not None:
        raise InputError(f"device {device!r} with several processes: give cuda, each takes a GPU of its own")
    if local >= torch.cuda.device_count():
        raise InputError(
            f"process {local} of this machine finds {torch.cuda.device_count()} GPUs; start fewer processes"
        )
    torch.cuda.set_device(local)


def _number(name: str, default: int) -> int:
    try:
        return int(os.environ.get(name, default))
    except ValueError:
        raise InputError(f"{name} = {os.environ[name]!r} in the environment is no number; unset it") from None


@contextmanager
def together() -> Iterator[None]:
    """All processes run what is inside alike, on the same inputs: here the tower's work is shared out."""
    token = _together.set(True)
    try:
        yield
    finally:
        _together.reset(token)


@contextmanager
def apart() -> Iterator[None]:
    """This process has inputs of its own: nothing is shared out."""
    token = _together.set(False)
    try:
        yield
    finally:
        _together.reset(token)


def sharing() -> bool:
    """Whether work is shared out here: there are several processes, and they run ``together``."""
    return _together.get() and size() > 1


@contextmanager
def first_ahead() -> Iterator[None]:
    """The first process runs what is inside before the others do, e.g. what fills a cache."""
    if size() > 1 and not is_first():
        _meet()
    yield
    if size() > 1 and is_first():
        _meet()


def share(total: int) -> Int[Tensor, " k"]:
    """The rows of a batch that are this process's: as many for each, so that the last may come twice."""
    each = -(-total // size())
    start = each * (dist.get_rank() if size() > 1 else 0)
    return torch.arange(start, start + each).clamp_max(total - 1)


def gathered(rows: Float[Tensor, "k ..."], total: int) -> Float[Tensor, "total ..."]:
    """All rows of a batch from every process's ``share``, in order, with gradient."""
    return _Gather.apply(rows)[:total]


class _Gather(torch.autograd.Function):
    """Rows of all processes; backwards the sum of their gradients, and of that this process's rows."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        """Concatenate the rows of all processes."""
        parts = [torch.empty_like(rows, memory_format=torch.contiguous_format) for _ in range(size())]
        _call(dist.all_gather, parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """Sum over the processes."""
        gradient = gradient.clone(memory_format=torch.contiguous_format)
        _call(dist.all_reduce, gradient)
        return gradient.chunk(size())[dist.get_rank()]


@torch.no_grad()
def average_gradients(parameters: Iterable[Tensor]) -> None:
    """Replace each gradient by its mean over the processes, where work is shared out."""
    if not sharing():
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    if not gradients:
        return
    flat = torch.cat([g.flatten() for g in gradients])
    _call(dist.all_reduce, flat)
    for g, mean in zip(gradients, (flat / size()).split([g.numel() for g in gradients]), strict=True):
        g.copy_(mean.view_as(g))


def told(value: Any) -> Any:
    """A JSON-able value of the first process, for all."""
    if not sharing():
        return value
    text = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)
    length = torch.tensor([len(text)])
    _call(dist.broadcast, length, 0)
    text = text if is_first() else torch.empty(int(length), dtype=torch.uint8)
    _call(dist.broadcast, text, 0)
    return json.loads(text.numpy().tobytes())


def check_alike(facts: Mapping[str, object]) -> None:
    """Refuse a process that was started with other facts than the first one.

    Raises:
        InputError: names the first value that differs.
    """
    first = told(dict(facts))
    for name, value in facts.items():
        if first.get(name) != value:
            raise InputError(
                f"a process has {name} = {value!r}, the first one {first.get(name)!r}; "
                "give all processes the same images and settings"
            )


@torch.no_grad()
def level(tensors: Mapping[str, Tensor]) -> None:
    """Give tensors the first process's values, in place, where work is shared out.

    Raises:
        InputError: another process has other names or shapes.
    """
    if not sharing():
        return
    check_alike({name: list(t.shape) for name, t in tensors.items()})
    for tensor in tensors.values():
        _broadcast(tensor)


@torch.no_grad()
def told_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors by name of the first process, for all; the others may give nothing."""
    if not sharing():
        return dict(tensors)
    forms = told([(name, list(t.shape), str(t.dtype).split(".")[1]) for name, t in tensors.items()])
    if not is_first():
        tensors = {name: torch.empty(shape, dtype=getattr(torch, kind)) for name, shape, kind in forms}
    for name, _, _ in forms:
        _broadcast(tensors[name])
    return dict(tensors)


def _broadcast(tensor: Tensor) -> None:
    """In bytes: every type and memory layout will do."""
    if tensor.numel():
        whole = tensor.detach().contiguous()
        _call(dist.broadcast, whole.view(-1).view(torch.uint8), 0)
        tensor.copy_(whole)


def _meet() -> None:
    _call(dist.all_reduce, torch.zeros(1))  # on the CPU: a GPU would be kept busy by waiting


def _call(collective: Callable, *arguments: object) -> None:
    try:
        collective(*arguments)
    except RuntimeError:
        raise PeerLost(
            "another process of this training has ended or does not answer; its own message says why"
        ) from None
