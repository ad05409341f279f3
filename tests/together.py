"""Two processes that train together: ``python -m together RANK FOLDER CLIP`` is one of them.

What each finds goes to ``FOLDER/RANK.json``, what they train to ``FOLDER/METHOD``.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import torch
import torch.distributed as dist
from pictures import CLASSES, patterned
from torch import nn

from tpsnet import distributed
from tpsnet.backbone import Backbone, load_backbone
from tpsnet.errors import InputError
from tpsnet.methods import (
    Method,
    TPSNet,
    TPSNetConfig,
    TPSNetPrinted,
    TPSNetPrintedConfig,
    UEMPrinted,
    UEMPrintedConfig,
)
from tpsnet.training import fit
from tpsnet.types import Images

PROMPTS = {"clusters": CLASSES, "prompt_epochs": 2, "prompt_warmup": 1}
EPOCHS = {"clusters": CLASSES, "idse_epochs": 2, "cdsm_epochs": 2, "alpha_floor": 0.0}
MAKE: dict[str, Callable[[Backbone], Method]] = {
    # Batches of odd sizes, so that the shares are not alike.
    "TPSNetPrinted": lambda clip: TPSNetPrinted(
        clip, TPSNetPrintedConfig(**PROMPTS, epochs=3, encoder_lr=1e-3, batch_size=9), 1
    ),
    "UEMPrinted": lambda clip: UEMPrinted(clip, UEMPrintedConfig(**EPOCHS, lr=1e-3, batch_size=9), 1),
    "TPSNet": lambda clip: TPSNet(clip, TPSNetConfig(**PROMPTS, epochs=3, map_lr=1e-2, batch_size=9), 1),
}
CUT = "TPSNetPrinted"  # is interrupted too, after so many steps of its second stage
STEPS = 5


def images() -> tuple[Images, Images]:
    """Two domains of 24 and 20 images."""
    rng = torch.Generator().manual_seed(0)
    return patterned("line", rng)[0], patterned("shaded", rng, n=20)[0]


def cut(clip: Backbone, pair: tuple[Images, Images], folder: Path | None) -> None:
    """A training that is interrupted within a stage; it leaves a checkpoint."""
    method, left = MAKE[CUT](clip), STEPS
    stages = method.stages

    def counted() -> list:
        nonlocal left
        first, last = stages()

        def after_step() -> None:
            nonlocal left
            left -= 1
            if not left:
                raise KeyboardInterrupt

        last.after_step = after_step
        return [first, last]

    method.stages = counted
    try:
        fit(method, pair, folder=folder, save_every=0.0)
    except KeyboardInterrupt:
        return
    raise AssertionError("it has not been interrupted")


def gradients(n: int) -> dict[str, float]:
    """How far the averaged gradients of a tower and of a head are from those of the whole batch."""
    torch.manual_seed(0)
    tower, head = nn.Linear(4, 3).double(), nn.Linear(3, 3).double()
    x, found = torch.randn(n, 4, dtype=torch.float64), {}

    def loss(z: torch.Tensor) -> torch.Tensor:  # every row meets every other one
        y = head(z).tanh()
        return (y @ y.T).logsumexp(dim=1).square().sum() + z.prod(dim=1).sum()

    parameters = [*tower.parameters(), *head.parameters()]
    whole = torch.autograd.grad(loss(tower(x)), parameters)
    loss(distributed.gathered(tower(x[distributed.share(n)]), n)).backward()
    distributed.average_gradients(parameters)
    for name, p, expected in zip(
        ("tower", "tower bias", "head", "head bias"), parameters, whole, strict=True
    ):
        found[name] = float((p.grad - expected).abs().max() / expected.abs().max())
    return found


def agreement(rank: int) -> dict[str, object]:
    """What passes from the first process to the other one."""
    mine = {"a": torch.full((2, 3), rank), "b": torch.tensor(rank == 0), "c": torch.zeros(0) + rank}
    mine["d"] = torch.full((2, 3, 4, 4), float(rank)).to(memory_format=torch.channels_last)
    distributed.level(mine)
    sent = distributed.told_tensors({"x": torch.arange(3), "y": torch.tensor(2.5)} if rank == 0 else {})
    found = {
        "level": {name: t.double().sum().item() for name, t in mine.items()},
        "told": distributed.told({"rank": rank, "word": "é"}),
        "sent": {name: t.tolist() for name, t in sent.items()},
        "first": distributed.is_first(),
    }
    try:
        distributed.check_alike({"same": 1, "rank": rank})
    except InputError as error:
        found["refused"] = str(error)
    return found


def main(rank: int, folder: Path, address: str) -> None:
    """One of the two."""
    torch.cpu.get_capabilities = dict  # no bfloat16, whose rounding would hide small differences
    dist.init_process_group("gloo", init_method=f"file://{folder / 'store'}", rank=rank, world_size=2)
    with distributed.together():
        found: dict[str, object] = {"gradients": {n: gradients(n) for n in (6, 5, 1)}}
        found["agreement"] = agreement(rank)
    clip, pair = load_backbone(address), images()
    place = folder if rank == 0 else folder / "of the other"
    found["rows"] = {name: fit(make(clip), pair, folder=place / name) for name, make in MAKE.items()}
    found["resumed"] = fit(MAKE[CUT](clip), pair, folder=place / "begun by one", resume=True)
    cut(clip, pair, place / "begun by two")
    (folder / f"{rank}.json").write_text(json.dumps(found))
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
