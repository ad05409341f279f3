"""How a drawing looks in pretraining: posed at random on tinted paper, then recoloured. Batched."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor


def pose(
    images: UInt8[Tensor, "batch 4 height width"], size: int, generator: torch.Generator
) -> Float[Tensor, "batch 3 size size"]:
    """Turn, stretch, shift and mirror images with alpha, and lay them on tinted paper: RGB in [0, 1]."""
    n = len(images)

    def spread(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(n, generator=generator)

    angle, zoom, aspect = spread(-0.45, 0.45), spread(0.9, 1.7), spread(0.85, 1.18).sqrt()
    mirror = 1 - 2 * (spread(0, 1) < 0.5).float()
    cos, sin = angle.cos() * zoom, angle.sin() * zoom
    rows = torch.stack(
        [cos * mirror * aspect, -sin, spread(-0.2, 0.2), sin * mirror, cos / aspect, spread(-0.2, 0.2)], 1
    )
    grid = F.affine_grid(rows.view(n, 2, 3), [n, 4, size, size], align_corners=False)
    straight = images.float() / 255
    premultiplied = torch.cat([straight[:, :3] * straight[:, 3:], straight[:, 3:]], 1)
    posed = F.grid_sample(premultiplied, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    paper = 1 - 0.25 * torch.rand(n, 3, generator=generator).mul(spread(0, 1)[:, None])
    return (posed[:, :3] + (1 - posed[:, 3:]) * paper[:, :, None, None]).clamp(0, 1)


def recolour(
    images: Float[Tensor, "batch 3 size size"], generator: torch.Generator, *, grey: float, edge: float
) -> Float[Tensor, "batch 3 size size"]:
    """Contrast and brightness for all; for some a permutation of channels, grey, or outlines only.

    Args:
        images: RGB in [0, 1].
        generator: source of chance.
        grey: share that loses its colour.
        edge: share replaced by its outlines, dark on white.
    """
    n = len(images)
    draw = torch.rand(n, generator=generator)
    gain = 0.75 + 0.5 * torch.rand(n, 1, 1, 1, generator=generator)
    lift = 0.2 * (torch.rand(n, 3, 1, 1, generator=generator) - 0.5)
    images = ((images - 0.5) * gain + 0.5 + lift).clamp(0, 1)
    outline, colourless = draw < edge, draw < edge + grey
    permuted = (draw > 0.9).nonzero().flatten()
    order = torch.randperm(3, generator=generator)
    images[permuted] = images[permuted][:, order]
    images[colourless] = images[colourless].mean(1, keepdim=True).expand(-1, 3, -1, -1)
    outlined = images[outline]
    steps = (
        outlined.diff(dim=2, append=outlined[:, :, -1:]).abs()
        + outlined.diff(dim=3, append=outlined[..., -1:]).abs()
    )
    images[outline] = (1 - 3 * steps).clamp(0, 1)
    return images
