"""Random views of a batch of images, made on the images' device."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Generator, Tensor

from tpsnet.errors import InputError
from tpsnet.settings import PositiveShare, Ratio, Settings, Share

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601; sums to one
BLURRED = 2**19  # numbers blurred at once on a processor


@dataclass(frozen=True)
class AugmentConfig(Settings):
    """How far a view may go from its image; the defaults are gentle, for drawings.

    Attributes:
        crop_scale: Least and greatest area of the crop, as a share of the image.
        crop_ratio: Least and greatest width of the crop over its height.
        flip: Probability of a mirror image.
        jitter: Probability of a change of colour, which then draws all of the next four.
        brightness: Greatest change of brightness; the factor lies between 1 − value and 1 + value.
        contrast: Greatest change of contrast, a factor like that of brightness, around the view's mean grey.
        saturation: Greatest change of saturation, a factor like that of brightness, around each pixel's grey.
        hue: Greatest change of hue to either side, in turns of the colour wheel.
        grey: Probability of losing all colour.
        blur: Probability of a Gaussian blur.
        blur_sigma: Least and greatest standard deviation of the blur, as a share of the image's width.
    """

    crop_scale: tuple[PositiveShare, PositiveShare] = (0.5, 1.0)
    crop_ratio: tuple[Ratio, Ratio] = (3 / 4, 4 / 3)
    flip: Share = 0.5
    jitter: Share = 0.8
    brightness: Share = 0.4
    contrast: Share = 0.4
    saturation: Share = 0.4
    hue: Share = 0.1
    grey: Share = 0.1
    blur: Share = 0.0
    blur_sigma: tuple[PositiveShare, PositiveShare] = (0.002, 0.012)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("crop_scale", "crop_ratio", "blur_sigma"):
            low, high = getattr(self, name)
            if low > high:
                raise InputError(f"{name} = {low} {high}: give the least first, then the greatest")


class Augment:
    """Crop and flip, then colour, then blur; every image of the batch gets its own numbers.

    The geometry comes first and in one resampling, so that whatever is computed from a view (its
    phase image) is aligned with it. Where a crop reaches outside, the border's colour goes on, which
    on drawings is paper.

    Source: the view of MoCo v2 (Chen et al., 2020, arXiv:2003.04297), with gentler crops.
    Ours differs: colour is one affine map an image. Brightness, contrast, saturation, hue and grey are
    multiplied into one 3×3 matrix and an offset, in this order, and values are cut to [0, 1] once,
    at the end (torchvision shuffles the order and cuts after each); hue turns in the YIQ plane, which
    keeps luma (torchvision turns in HSV). The blur scales with the image's width.

    Random numbers come from the CPU generator, as many for each image whatever the config: a
    view is the same on every device, and its geometry does not depend on the colours' part of the config.
    """

    def __init__(self, cfg: AugmentConfig | None = None) -> None:
        self.cfg = cfg or AugmentConfig()

    @torch.no_grad()
    def __call__(
        self, images: Float[Tensor, "batch 3 height width"], generator: Generator
    ) -> Float[Tensor, "batch 3 height width"]:
        """One random view of each image; values in [0, 1] in, values in [0, 1] out.

        Args:
            images: RGB in [0, 1].
            generator: Generator on the CPU; it moves on by 13 numbers an image.
        """
        u = torch.rand(13, len(images), generator=generator)
        blurred = (u[11] < self.cfg.blur).nonzero()[:, 0]  # counted here, so that nothing waits for a GPU
        u = u.to(images.device, non_blocking=True)
        views = F.grid_sample(images, self._grid(u[:5], images), padding_mode="border", align_corners=False)
        views = self._colour(u[5:11], views)
        return self._blur(u[12], views, blurred.to(images.device)) if len(blurred) else views

    def _grid(self, u: Tensor, images: Tensor) -> Tensor:
        """Where each pixel of the view looks in the image, ``[batch, height, width, 2]`` in [-1, 1]."""
        area = _between(u[0], self.cfg.crop_scale)
        log_low, log_high = map(math.log, self.cfg.crop_ratio)
        ratio = _between(u[1], (log_low, log_high)).exp()
        flip = torch.where(u[4] < self.cfg.flip, -1.0, 1.0)

        def axis(length: int, extent: Tensor, place: Tensor, sign: Tensor | float) -> Tensor:
            # A crop wider than the image is shifted so that it still holds all of it.
            centre = (1 - extent).abs() * (2 * place - 1)
            step = (torch.arange(length, device=u.device) * 2 + 1) / length - 1
            return centre[:, None] + (sign * extent)[:, None] * step

        height, width = images.shape[2:]
        x = axis(width, (area * ratio).sqrt(), u[2], flip)
        y = axis(height, (area / ratio).sqrt(), u[3], 1.0)
        shape = (len(images), height, width)
        return torch.stack([x[:, None, :].expand(shape), y[:, :, None].expand(shape)], dim=3).to(images.dtype)

    def _colour(self, u: Tensor, views: Tensor) -> Tensor:
        """Jitter and grey as one matrix an image: x ↦ M x + offset, cut to [0, 1]."""
        cfg, one = self.cfg, torch.ones_like(u[0])
        jitter = u[0] < cfg.jitter
        spans = (cfg.brightness, cfg.contrast, cfg.saturation)
        factors = [torch.where(jitter, 1 + s * (2 * v - 1), one) for s, v in zip(spans, u[1:4], strict=True)]
        brightness, contrast, saturation = (f[:, None, None] for f in factors)
        turns = torch.where(jitter, cfg.hue * (2 * u[4] - 1), 0 * one)[:, None, None]
        colourful = torch.where(u[5] < cfg.grey, 0 * one, one)[:, None, None]

        luma = torch.tensor(LUMA, device=u.device)
        to_grey = luma.expand(3, 3)
        vivid = torch.lerp(to_grey, torch.eye(3, device=u.device), saturation)
        matrix = torch.lerp(to_grey, _hue(turns) @ vivid, colourful) * contrast * brightness
        # All four keep greys grey, so the contrast's offset passes unchanged through the rest.
        mean_grey = (views.mean(dim=(2, 3)).float() @ luma)[:, None, None]
        offset = (1 - contrast) * brightness * mean_grey
        flat = views.flatten(2)
        return torch.baddbmm(offset.to(flat), matrix.to(flat), flat).clamp_(0, 1).view_as(views)

    def _blur(self, u: Tensor, views: Tensor, chosen: Tensor) -> Tensor:
        """A separable Gaussian on the chosen images, cut at three standard deviations."""
        width = views.shape[3]
        sigma = _between(u[chosen], self.cfg.blur_sigma) * width
        radius = math.ceil(3 * self.cfg.blur_sigma[1] * width)
        taps = torch.arange(-radius, radius + 1, device=u.device)
        kernel = (-0.5 * (taps / sigma[:, None]).square()).softmax(dim=1).to(views)
        # On a processor a few images at a time, which stay in its cache.
        step = max(1, BLURRED // views[0].numel()) if views.is_cpu else len(chosen)
        for some, weights in zip(chosen.split(step), kernel.split(step), strict=True):
            views[some] = _convolved(views[some], weights, radius).clamp_(0, 1)
        return views


def _convolved(
    images: Float[Tensor, "batch 3 height width"], kernel: Float[Tensor, "batch tap"], radius: int
) -> Float[Tensor, "batch 3 height width"]:
    """Each image under its own kernel, along both axes; the border's colour goes on outside."""
    taps = kernel[:, :, None, None, None]
    for dim, pad in ((3, (radius, radius, 0, 0)), (2, (0, 0, radius, radius))):
        padded, n = F.pad(images, pad, mode="replicate"), images.shape[dim]
        images = taps[:, 0] * padded.narrow(dim, 0, n)
        for t in range(1, taps.shape[1]):
            images.addcmul_(taps[:, t], padded.narrow(dim, t, n))
    return images


def _between(u: Tensor, bounds: tuple[float, float]) -> Tensor:
    """Uniform numbers of [0, 1) stretched to the bounds."""
    return bounds[0] + (bounds[1] - bounds[0]) * u


def _hue(turns: Float[Tensor, "batch 1 1"]) -> Float[Tensor, "batch 3 3"]:
    """RGB matrices that turn the I-Q plane of YIQ (FCC NTSC), red towards green, and keep luma."""
    to_yiq = torch.tensor([LUMA, (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112)])
    # Inverted on the processor: a GPU would be waited for, to see whether it can be.
    to_yiq, from_yiq = to_yiq.to(turns.device), to_yiq.inverse().to(turns.device)
    angle = 2 * math.pi * turns
    keep = torch.diag(torch.tensor([1.0, 0, 0], device=turns.device))
    plane = torch.diag(torch.tensor([0, 1.0, 1.0], device=turns.device))
    turn = torch.tensor([[0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]], device=turns.device)
    return from_yiq @ (keep + angle.cos() * plane + angle.sin() * turn) @ to_yiq
