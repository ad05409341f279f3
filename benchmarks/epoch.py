"""A whole training of TPSNet and of TPSNetPrinted against the sum of its parts.

The loop is watched while it runs: making batches with their views, losses with the forward passes, backward
passes, clipping and optimiser, and what a stage does between epochs and after steps. What remains is the
loop's own. Beside it stands the image tower alone, forward and backward on as many images of the same size,
where a tower is trained. Run ``python -m benchmarks.epoch``.
"""

import contextlib
import io
import time
from collections.abc import Iterator
from unittest.mock import patch

import torch
import tyro

from tools.timing import machine, table
from tpsnet.backbone import load_backbone
from tpsnet.backbone.embed import autocast
from tpsnet.data import PairedBatches, embedded_root, load_pair
from tpsnet.methods import METHODS, Stage
from tpsnet.training import fit
from tpsnet.types import Images

PARTS = ("batches", "losses", "backward", "optimiser", "between")
SETTINGS = {
    "TPSNet": {"prompt_epochs": 3, "epochs": 5},
    "TPSNetPrinted": {"prompt_epochs": 3, "epochs": 3},
}
SHORT = {"prompt_epochs": 1, "epochs": 1}


class Watch:
    """Seconds of each part, while a stage is trained."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = dict.fromkeys(PARTS, 0.0)

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Add what happens under it to a part."""
        start = time.perf_counter()
        yield
        self.seconds[name] += time.perf_counter() - start

    def call(self, name: str, function):
        """The function, watched."""

        def watched(*args, **kwargs):
            with self.part(name):
                return function(*args, **kwargs)

        return watched

    def iterate(self, function):
        """The function that gives an iterator, every step of which is watched."""

        def watched(*args, **kwargs):
            steps = iter(function(*args, **kwargs))
            while True:
                with self.part("batches"):
                    try:
                        step = next(steps)
                    except StopIteration:
                        return
                yield step

        return watched

    def stages(self, stages: list[Stage]) -> list[Stage]:
        """The stages, watched."""
        for stage in stages:
            stage.losses = self.call("losses", stage.losses)
            for name in ("begin_epoch", "after_step", "finish"):
                setattr(stage, name, self.call("between", getattr(stage, name)))
        return stages


def watched_training(
    name: str, images: tuple[Images, Images], settings: dict[str, int]
) -> tuple[dict[str, float], float, object]:
    """Seconds of all epochs by part and as a whole, and the method."""
    watch, entry = Watch(), METHODS[name]
    method = entry.method(load_backbone(), entry.config(**settings))
    method.prepare(images)
    stages = watch.stages(method.stages())
    method.stages = lambda: stages
    norm, step = torch.nn.utils.clip_grad_norm_, torch.optim.AdamW.step
    with (
        patch.object(PairedBatches, "epoch", watch.iterate(PairedBatches.epoch)),
        patch.object(torch.Tensor, "backward", watch.call("backward", torch.Tensor.backward)),
        patch.object(torch.nn.utils, "clip_grad_norm_", watch.call("optimiser", norm)),
        patch.object(torch.optim.AdamW, "step", watch.call("optimiser", step)),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        start = time.perf_counter()
        fit(method, images)
        whole = time.perf_counter() - start
    return watch.seconds, whole, method


def tower_alone(images: tuple[Images, Images], epochs: int, batch: int) -> float:
    """Seconds of the tower's forward and backward passes over as many batches as the training has."""
    backbone = load_backbone()
    steps = -(-max(map(len, images)) // batch)
    x = images[0].pixels[:batch].float() / 255
    start = time.perf_counter()
    for _ in range(2 * steps * epochs):
        with autocast("cpu"):
            loss = backbone.encode_image(x).square().sum()
        loss.backward()
    return time.perf_counter() - start


def main(quick: bool = False) -> None:
    """Print one row a method: shares of the time from the first epoch to the last, in percent.

    Args:
        quick: Whether a small part is enough, to see that it runs.
    """
    print(machine(), "\n")
    size, n, clusters = load_backbone().resize, 24 if quick else 400, 8 if quick else 40
    images = load_pair(embedded_root(), ("line", "shaded"), size).subset((range(n), range(n))).images
    rows = []
    for name, settings in SETTINGS.items():
        settings = (SHORT if quick else settings) | {"clusters": clusters}
        seconds, whole, method = watched_training(name, images, settings)
        stage = method.stages()[-1]
        tower = tower_alone(images, stage.epochs, stage.batch_size) if name == "TPSNetPrinted" else None
        shares = (f"{100 * seconds[part] / whole:.1f}" for part in PARTS)
        rest = f"{100 * (1 - sum(seconds.values()) / whole):.1f}"
        rows.append([name, whole, *shares, rest, "" if tower is None else f"{whole / tower:.2f}"])
    table(
        ["method", "training, s", *(f"{part}, %" for part in PARTS), "the loop's own, %", "/ tower alone"],
        rows,
    )


if __name__ == "__main__":
    tyro.cli(main)
