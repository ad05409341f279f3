"""Views: what a frozen network is shown of an image, so that it looks past the way of drawing."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from tpsnet.backbone.phase import phase_drawing

RIM = 2  # pixels along each side that tell the colour of the ground


def colour(images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 3 height width"]:
    """RGB images in [0, 1] as they are."""
    return images


def figure_ground(
    images: Float[Tensor, "batch 3 height width"], gain: float = 4.0
) -> Float[Tensor, "batch 3 height width"]:
    r"""Dark where an image differs from its ground, white where it does not.

    With :math:`b` the median colour along the image's sides and :math:`x` a pixel,
    :math:`1 - \min(1, c\,\max_{rgb} |x - b|)`: hues and the colour of the paper are gone, tones remain.

    Source: the boundary prior of salient-object detection (Wei et al., ECCV 2012), in its plainest form; that
    a frozen CLIP looks at the result is ours. The gain was found with an eye on the labels of line ↔ shaded
    and flat ↔ solid.

    Args:
        images: RGB in [0, 1].
        gain: Factor c.
    """
    top, bottom = images[..., :RIM, :], images[..., -RIM:, :]
    left, right = images[..., :RIM], images[..., -RIM:]
    sides = torch.cat([part.flatten(2) for part in (top, bottom, left, right)], dim=2)
    ground = sides.median(dim=2).values[..., None, None]
    apart = (images - ground).abs().amax(dim=1, keepdim=True)
    return (1 - gain * apart).clamp(0, 1).expand(-1, 3, -1, -1)


VIEWS: dict[str, Callable[[Tensor], Tensor]] = {
    "colour": colour,
    "phase drawing": phase_drawing,
    "figure and ground": figure_ground,
}
