"""Views: what a frozen network is shown of an image, so that it looks past the way of drawing."""

from collections import OrderedDict
from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from tpsnet.backbone.clip import Backbone
from tpsnet.backbone.embed import embed_with_flip, precision
from tpsnet.backbone.moco import MoCo
from tpsnet.backbone.phase import phase_drawing
from tpsnet.types import Images

RIM = 2  # pixels along each side that tell the colour of the ground
KEPT = 2**30  # bytes of vectors that are kept for the next method on the same images


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

_kept: OrderedDict[tuple[str | None, ...], Tensor] = OrderedDict()


def view_vectors(backbone: Backbone | MoCo, view: str, images: Images) -> Float[Tensor, "n dim"]:
    """Vectors of one view, averaged with those of the mirror images; on the backbone's device.

    They are kept in the processor's memory, up to a gigabyte for all images: another seed or method on the
    same images of the same process does not encode them again.

    Args:
        backbone: The backbone as it was loaded; one that was trained further is mistaken for it.
        view: Key of ``VIEWS``.
        images: The images.
    """
    device = backbone.mean.device
    weights = backbone.model, backbone.pretrained, backbone.identity, backbone.preprocessing
    key = (*weights, str(backbone.quick_gelu), view, images.identity, str(device), str(precision(device)))
    if key not in _kept:
        both = embed_with_flip(lambda x: backbone.encode_image(VIEWS[view](x)), images, device=device)
        _kept[key] = F.normalize(sum(both), dim=1)
        while len(_kept) > 1 and sum(z.nbytes for z in _kept.values()) > KEPT:
            _kept.popitem(last=False)
    _kept.move_to_end(key)
    return _kept[key].to(device)
