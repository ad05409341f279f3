"""How alike the outlines of two images are."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def edges(images: Float[Tensor, "n 3 height width"]) -> Float[Tensor, "n height width"]:
    """Strength of the grey image's gradient, by Sobel's masks."""
    sobel = images.new_tensor([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    grey = F.pad(images.mean(dim=1, keepdim=True), (1, 1, 1, 1), mode="replicate")
    masks = torch.stack([sobel, sobel.T])[:, None]
    return F.conv2d(grey, masks).norm(dim=1)


def edge_correlation(
    a: Float[Tensor, "n 3 height width"], b: Float[Tensor, "n 3 height width"]
) -> Float[Tensor, " n"]:
    """Pearson correlation of two images' edge strengths, row by row; 0 where one has no edge."""
    x, y = (edges(images).flatten(1) for images in (a, b))
    x, y = x - x.mean(dim=1, keepdim=True), y - y.mean(dim=1, keepdim=True)
    return (x * y).sum(dim=1) / (x.norm(dim=1) * y.norm(dim=1)).clamp_min(1e-9)
