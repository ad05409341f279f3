"""The one training loop: it walks through a method's stages, logs, and survives a kill."""

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import monotonic

import torch
from torch import Tensor

from tpsnet.data import Augment, AugmentConfig, PairedBatches
from tpsnet.errors import InputError
from tpsnet.methods import Method, Stage
from tpsnet.progress import Progress
from tpsnet.training.runlog import RunLog
from tpsnet.types import Images


@dataclass(frozen=True)
class FitConfig:
    """How the loop trains.

    Attributes:
        augment: Augmentation of the views.
        weight_decay: Weight decay of AdamW.
        warmup: Share of a stage's steps with a rising learning rate; a cosine to zero follows.
        clip_norm: Largest norm of the gradient.
    """

    augment: AugmentConfig = field(default_factory=AugmentConfig)
    weight_decay: float = 1e-4
    warmup: float = 0.1
    clip_norm: float = 1.0


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

    A method that was trained before is trained on: make another one to start afresh.

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
            backbone; nothing can be written.
    """
    cfg = cfg or FitConfig()
    log = RunLog(folder, method, _identity(method, images, cfg, folder), resume=resume, save_every=save_every)
    if method.images is not images:
        method.prepare(images)
    stages = method.stages()
    stage_index, start_epoch, optimizer_state = log.restore()
    with Progress(sum(stage.epochs for stage in stages), method.name) as progress, log:
        progress.skip(sum(stage.epochs for stage in stages[:stage_index]) + start_epoch)
        for number, stage in enumerate(stages[stage_index:], start=stage_index):
            batches = _batches(method, images, stage, cfg, number)
            optimizer = torch.optim.AdamW(
                [dict(g) for g in stage.parameters()], weight_decay=cfg.weight_decay
            )
            if optimizer_state:
                optimizer.load_state_dict(optimizer.state_dict() | {"state": optimizer_state})
            for epoch in range(start_epoch, stage.epochs):
                row = _epoch(method, stage, epoch, batches, optimizer, cfg)
                finished = epoch + 1 == stage.epochs
                if finished:
                    stage.finish()
                log.add(row, optimizer, next_position=(number + 1, 0) if finished else (number, epoch + 1))
                progress.step(f"{stage.name} {epoch + 1}/{stage.epochs} loss {row['losses']['loss']:.3f}")
            start_epoch, optimizer_state = 0, {}
        log.finish()
    method.eval()
    return log.rows


def _identity(
    method: Method, images: tuple[Images, Images], cfg: FitConfig, folder: Path | None
) -> dict[str, dict]:
    """What a resumed run must share."""
    named = {"name": method.name, "seed": method.seed}
    config = {"method": named | asdict(method.cfg), "fit": asdict(cfg)}
    if folder is None:
        return config
    first, second = (x.identity for x in images)
    return config | {"data": {"first": first, "second": second, "clip": method.given.identity}}


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


def _epoch(
    method: Method,
    stage: Stage,
    epoch: int,
    batches: PairedBatches,
    optimizer: torch.optim.AdamW,
    cfg: FitConfig,
) -> dict:
    """One pass; losses are summed on the device and read once."""
    began = monotonic()
    shares = stage.begin_epoch(epoch)
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
        torch.nn.utils.clip_grad_norm_(trained, cfg.clip_norm)
        optimizer.step()
        stage.after_step()
        for name, term in {"loss": loss, **terms}.items():
            sums[name] = sums.get(name, 0) + term.detach()
    losses = {name: float(total) / len(batches) for name, total in sums.items()}
    for name, value in losses.items():
        if not math.isfinite(value):
            raise InputError(
                f"stage {stage.name!r}, epoch {epoch + 1}: {name} is {value}; lower the learning rates"
            )
    seconds = round(monotonic() - began, 2)
    return {"stage": stage.name, "epoch": epoch, "losses": losses, "shares": shares, "seconds": seconds}


def rate(step: int, steps: int, warmup: float) -> float:
    """Factor of the learning rate: a linear rise over ``warmup`` of the steps, then a cosine to zero."""
    rise = max(1, round(warmup * steps))
    if step < rise:
        return (step + 1) / rise
    return 0.5 + 0.5 * math.cos(math.pi * (step - rise) / max(1, steps - rise))
