"""Drive a stage by hand, the way ``fit`` does."""

import torch

from tpsnet.methods import Stage
from tpsnet.types import Batch, Images


def first_images(pair: tuple[Images, Images], n: int = 12) -> tuple[Batch, Batch]:
    """The first images of both domains as they are."""
    views = [images.pixels[:n].float() / 255 for images in pair]
    return tuple(Batch(v, None, torch.arange(n), d) for d, v in enumerate(views))


def step(stage: Stage, batches: tuple[Batch, Batch]) -> dict[str, float]:
    """One step of the optimiser at the stage's own rates; returns its losses."""
    optimizer = torch.optim.AdamW([dict(group) for group in stage.parameters()])
    stage.method.train()
    terms = stage.losses(*batches)
    sum(stage.weights[name] * term for name, term in terms.items()).backward()
    optimizer.step()
    optimizer.zero_grad()
    stage.after_step()
    return values(terms)


def values(terms: dict[str, torch.Tensor]) -> dict[str, float]:
    """Losses as numbers."""
    return {name: float(term.detach()) for name, term in terms.items()}
