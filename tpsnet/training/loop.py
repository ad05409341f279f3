"""The one training loop: it walks through a method's stages, logs, and survives a kill."""

import math
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import monotonic
from typing import Literal

import torch
from torch import Tensor

from tpsnet import distributed
from tpsnet.backbone import TowerConfig, running
from tpsnet.data import Augment, AugmentConfig, PairedBatches
from tpsnet.errors import InputError
from tpsnet.methods import Method, Stage
from tpsnet.paths import claimed
from tpsnet.progress import Progress
from tpsnet.settings import PositiveWeight, Settings, Share, ShareBelowOne
from tpsnet.training.runlog import RunLog
from tpsnet.types import Images


@dataclass(frozen=True)
class FitConfig(Settings):
    """How the loop trains.

    Attributes:
        augment: Augmentation of the views.
        optimizer: AdamW, or SGD with momentum.
        momentum: Momentum of SGD; AdamW has its own.
        weight_decay: Weight decay of the optimiser; under SGD it is a part of the gradient.
        warmup: Share of a stage's steps with a rising learning rate; a cosine to zero follows.
        clip_norm: Largest norm of the gradient.
        tower: How a trained image tower is run.
    """

    augment: AugmentConfig = field(default_factory=AugmentConfig)
    optimizer: Literal["adamw", "sgd"] = "adamw"
    momentum: ShareBelowOne = 0.9
    weight_decay: Share = 1e-4
    warmup: Share = 0.1
    clip_norm: PositiveWeight = 1.0
    tower: TowerConfig = field(default_factory=TowerConfig)

    def facts(self) -> dict[str, object]:
        """What a training depends on: of the tower's settings the precision alone, the others only round."""
        values = asdict(self) | {"tower": {"precision": self.tower.precision}}
        if self.optimizer == "adamw":
            del values["momentum"]
        return values


def fit(
    method: Method,
    images: tuple[Images, Images],
    cfg: FitConfig | None = None,
    *,
    folder: Path | None = None,
    resume: bool = False,
    save_every: float = 30.0,
) -> list[dict]:
    """Prepare a method and train it through all stages; the last epoch is the model.

    A method that was trained before is trained on: make another one to start afresh. Processes that have
    ``distributed.joined`` train one model together; the first of them writes.

    Args:
        method: The method to train, in place.
        images: The images of both domains. No label exists here, so no metric can choose an epoch.
        cfg: How to train.
        folder: Folder for log, TensorBoard events and checkpoint, and at the end for the trained artefact;
            ``None`` writes nothing.
        resume: Whether to go on from the folder's checkpoint, if there is one; a finished run is loaded.
        save_every: Seconds between checkpoints; the end of a stage always saves.

    Returns:
        One row an epoch: ``stage``, ``epoch``, mean ``losses`` by name, ``shares`` that the stage notes,
        ``seconds``.

    Raises:
        InputError: the loss is not finite; the folder holds a run of another method, config, images or
            backbone; another process trains there; nothing can be written; the tower cannot be run as asked;
            processes that train together have other images or settings.
    """
    cfg = cfg or FitConfig()
    folder = folder if distributed.is_first() else None
    with claimed(folder) if folder else nullcontext(), distributed.together():
        return _fit(method, images, cfg, folder, resume, save_every)


def _fit(
    method: Method,
    images: tuple[Images, Images],
    cfg: FitConfig,
    folder: Path | None,
    resume: bool,
    save_every: float,
) -> list[dict]:
    known = folder is not None or distributed.size() > 1
    identity = _identity(method, images, cfg, known)
    log = RunLog(folder, method, identity, resume=resume, save_every=save_every)
    distributed.check_alike(log.identity)
    if method.images is not images:
        method.prepare(images)
    stages = method.stages()
    stage_index, start_epoch = log.restore()
    distributed.level(method.state_dict())
    progress = Progress({stage.name: stage.epochs for stage in stages}, method.name)
    with running(method, cfg.tower) if stages else nullcontext(), progress, log:
        progress.skip(sum(stage.epochs for stage in stages[:stage_index]) + start_epoch)
        for number, stage in enumerate(stages[stage_index:], start=stage_index):
            batches = _batches(method, images, stage, cfg, number)
            optimizer = _optimizer(stage, cfg)
            if start_epoch:
                log.restore_optimizer(optimizer)
            for epoch in range(start_epoch, stage.epochs):
                row = _epoch(method, stage, epoch, batches, optimizer, cfg)
                finished = epoch + 1 == stage.epochs
                if finished:
                    stage.finish()
                log.add(row, optimizer, next_position=(number + 1, 0) if finished else (number, epoch + 1))
                progress.step(f"epoch {epoch + 1}/{stage.epochs} loss {row['losses']['loss']:.3f}")
            start_epoch = 0
        log.finish()
    method.eval()
    return log.rows


def _identity(method: Method, images: tuple[Images, Images], cfg: FitConfig, data: bool) -> dict[str, dict]:
    """What a resumed run must share, and processes that train together; ``data`` reads the images through."""
    named = {"name": method.name, "seed": method.seed}
    config = {"method": named | asdict(method.cfg), "fit": cfg.facts()}
    if not data:
        return config
    first, second = (x.identity for x in images)
    clip = method.given
    given = {"clip": clip.identity, "preprocessing": clip.preprocessing, "quick_gelu": clip.quick_gelu}
    return config | {"data": {**given, "first": first, "second": second}}


def _batches(
    method: Method, images: tuple[Images, Images], stage: Stage, cfg: FitConfig, number: int
) -> PairedBatches:
    return PairedBatches(
        *images,
        batch_size=stage.batch_size,
        views=stage.views,
        augment=Augment(cfg.augment),
        seed=method.seed * 1000 + number,
        device=method.device,
    )


def _optimizer(stage: Stage, cfg: FitConfig) -> torch.optim.Optimizer:
    groups = [dict(g) for g in stage.parameters()]
    if cfg.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=0.0, momentum=cfg.momentum, weight_decay=cfg.weight_decay)
    return torch.optim.AdamW(groups, weight_decay=cfg.weight_decay)


def _epoch(
    method: Method,
    stage: Stage,
    epoch: int,
    batches: PairedBatches,
    optimizer: torch.optim.Optimizer,
    cfg: FitConfig,
) -> dict:
    """One pass; losses are summed on the device and read once."""
    began = monotonic()
    shares = stage.begin_epoch(epoch)
    distributed.level(_kept(method))  # machines of two kinds may round apart
    method.train()
    rates = [group["lr"] for group in stage.parameters()]
    trained = [p for group in optimizer.param_groups for p in group["params"]]
    sums: dict[str, Tensor] = {}
    for step, (first, second) in enumerate(batches.epoch(epoch), start=epoch * len(batches)):
        factor = rate(step, stage.epochs * len(batches), cfg.warmup)
        for group, lr in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = lr * factor
        terms = stage.losses(first, second)
        loss = sum(stage.weights[name] * term for name, term in terms.items())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        distributed.average_gradients(trained)
        torch.nn.utils.clip_grad_norm_(trained, cfg.clip_norm)
        optimizer.step()
        stage.after_step()
        for name, term in {"loss": loss, **terms}.items():
            sums[name] = sums.get(name, 0) + term.detach()
    losses = {name: float(total) / len(batches) for name, total in sums.items()}
    _check_level(stage, losses)
    for name, value in losses.items():
        if not math.isfinite(value):
            raise InputError(
                f"stage {stage.name!r}, epoch {epoch + 1}: {name} is {value}; lower the learning rates"
            )
    seconds = round(monotonic() - began, 2)
    return {"stage": stage.name, "epoch": epoch, "losses": losses, "shares": shares, "seconds": seconds}


def _kept(method: Method) -> dict[str, Tensor]:
    """What a method keeps beside its weights: pseudo-labels, memory banks, prototypes."""
    learned = dict(method.named_parameters())
    return {name: t for name, t in method.state_dict().items() if name not in learned}


def _check_level(stage: Stage, losses: dict[str, float]) -> None:
    """Processes that train together compute the same losses, or they have drifted apart."""
    for name, value in distributed.told(losses).items():
        if not math.isclose(value, losses[name], rel_tol=1e-3, abs_tol=1e-6) and math.isfinite(value):
            raise InputError(
                f"stage {stage.name!r}: {name} is {value:.6g} in the first process and {losses[name]:.6g} in "
                "another; train on machines of one kind"
            )


def rate(step: int, steps: int, warmup: float) -> float:
    """Factor of the learning rate: a linear rise over ``warmup`` of the steps, then a cosine to zero."""
    rise = max(1, round(warmup * steps))
    if step < rise:
        return (step + 1) / rise
    return 0.5 + 0.5 * math.cos(math.pi * (step - rise) / max(1, steps - rise))
