"""The one training loop: it walks through a method's stages, logs, and survives a kill."""

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import monotonic
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from tpsnet.data import Augment, AugmentConfig, PairedBatches
from tpsnet.progress import Progress
from tpsnet.runlog import RunLog
from tpsnet.types import Images, InputError, Stage


@runtime_checkable
class Method(Protocol):
    """What can be trained: a module with a settings dataclass, a backbone, stages, and embeddings."""

    cfg: object
    backbone: torch.nn.Module  # with the ``identity`` of the weights it was loaded with

    def stages(self) -> list[Stage]:
        """What to train, in order."""
        ...

    def embed(self, images: Images) -> Tensor:
        """Unit rows of a domain's pictures."""
        ...


@dataclass(frozen=True)
class FitConfig:
    """How a run is carried out.

    Attributes:
        run: folder for checkpoint, log and TensorBoard events; ``None`` writes nothing.
        resume: go on from the folder's checkpoint, if there is one.
        seed: of batches and augmentation.
        augment: the views' augmentation.
        weight_decay: of AdamW.
        warmup: share of a stage's steps with a rising learning rate; a cosine to zero follows.
        clip_norm: largest norm of the gradient.
        save_every: seconds between checkpoints; the end of a stage always saves.
    """

    run: Path | None = None
    resume: bool = False
    seed: int = 0
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    weight_decay: float = 1e-4
    warmup: float = 0.1
    clip_norm: float = 1.0
    save_every: float = 30.0


def fit(method: Method, pair: tuple[Images, Images], cfg: FitConfig | None = None) -> list[dict]:
    """Train through all stages; the last epoch is the model.

    Args:
        method: the module to train, in place.
        pair: the pictures of both domains. No label exists here, so no metric can choose an epoch.
        cfg: how to run.

    Returns:
        One row an epoch: stage, epoch, mean of every loss term, the notes of ``refresh``, seconds.

    Raises:
        InputError: the loss is not finite; the run folder holds a run with other settings, pictures or
            another backbone; nothing can be written.
    """
    cfg = cfg or FitConfig()
    stages = method.stages()
    log = RunLog(cfg.run, _identity(method, pair, cfg), resume=cfg.resume, save_every=cfg.save_every)
    at, started, slots = log.restore(method)
    with Progress(sum(stage.epochs for stage in stages), type(method).__name__) as progress, log:
        progress.skip(sum(stage.epochs for stage in stages[:at]) + started)
        for number, stage in enumerate(stages[at:], start=at):
            batches = _batches(method, pair, stage, cfg, number)
            optimizer = torch.optim.AdamW([dict(g) for g in stage.parameters], weight_decay=cfg.weight_decay)
            if slots:
                optimizer.load_state_dict(optimizer.state_dict() | {"state": slots})
            for epoch in range(started, stage.epochs):
                row = _epoch(method, stage, epoch, batches, optimizer, cfg)
                finished = epoch + 1 == stage.epochs
                if finished:
                    stage.finish()
                log.add(row, method, optimizer, then=(number + 1, 0) if finished else (number, epoch + 1))
                progress.step(f"{stage.name} {epoch + 1}/{stage.epochs} loss {row['loss']:.3f}")
            started, slots = 0, {}
    method.eval()
    return log.rows


def _identity(method: Method, pair: tuple[Images, Images], cfg: FitConfig) -> dict[str, dict]:
    """What a resumed run must share; pictures are read through only where there is a folder."""
    settings = {"method": asdict(method.cfg), "fit": asdict(cfg)}
    if cfg.run is None:
        return settings
    first, second = (images.identity for images in pair)
    return settings | {"data": {"first": first, "second": second, "clip": method.backbone.identity}}


def _batches(
    method: Method, pair: tuple[Images, Images], stage: Stage, cfg: FitConfig, number: int
) -> PairedBatches:
    return PairedBatches(
        *pair,
        batch_size=stage.batch_size,
        views=stage.views,
        augment=Augment(cfg.augment),
        seed=cfg.seed * 1000 + number,
        device=next(method.parameters()).device,
    )


def _epoch(
    method: Method,
    stage: Stage,
    epoch: int,
    batches: PairedBatches,
    optimizer: torch.optim.AdamW,
    cfg: FitConfig,
) -> dict:
    """One pass; terms are summed on the device and read once."""
    began = monotonic()
    notes = stage.refresh(epoch)
    method.train()
    trained = [p for group in optimizer.param_groups for p in group["params"]]
    sums: dict[str, Tensor] = {}
    for step, (first, second) in enumerate(batches.epoch(epoch), start=epoch * len(batches)):
        factor = rate(step, stage.epochs * len(batches), cfg.warmup)
        for group, given in zip(optimizer.param_groups, stage.parameters, strict=True):
            group["lr"] = given["lr"] * factor
        terms = stage.losses(first, second)
        loss = sum(stage.weights[name] * term for name, term in terms.items())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, cfg.clip_norm)
        optimizer.step()
        stage.after_step()
        for name, term in {"loss": loss, **terms}.items():
            sums[name] = sums.get(name, 0) + term.detach()
    means = {name: float(total) / len(batches) for name, total in sums.items()}
    for name, value in means.items():
        if not math.isfinite(value):
            raise InputError(
                f"stage {stage.name!r}, epoch {epoch + 1}: {name} is {value}; lower the learning rates"
            )
    return {"stage": stage.name, "epoch": epoch, **means, **notes, "seconds": round(monotonic() - began, 2)}


def rate(step: int, steps: int, warmup: float) -> float:
    """Factor of the learning rate: a linear rise over ``warmup`` of the steps, then a cosine to zero."""
    rise = max(1, round(warmup * steps))
    if step < rise:
        return (step + 1) / rise
    return 0.5 + 0.5 * math.cos(math.pi * (step - rise) / max(1, steps - rise))
