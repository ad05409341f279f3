r"""The phase prior: an image rebuilt from its Fourier phase, with constant amplitude.

.. math:: F = \mathcal F(g) = A e^{j\varphi}, \qquad x^{phase} = \mathcal F^{-1}(R\, e^{j\varphi})

with :math:`g` the grey image. Source: TPSNet (CVPR 2026, arXiv:2603.12711); the constant-amplitude image
goes back to DG-UCDIR (ICCV 2023).

Ours differs: :math:`R = \sqrt{HW}` makes the result's root mean square 1 whatever the size, and nothing is
clipped or rounded (the peers use :math:`R = 50000` on 0–255 images and clip to bytes, which zeroes the
negative half). :math:`R` is INFERRED. The transform runs in float32, batched on the images' device.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
# Below this share of the largest coefficient, a phase is rounding noise.
NOISE_FLOOR = 1e-6


def to_grey(images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 1 height width"]:
    """Luma of RGB images."""
    return (images * images.new_tensor(LUMA).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)


def phase_image(images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 1 height width"]:
    """The constant-amplitude image of RGB images in [0, 1]; root mean square 1 (0 where blank).

    Coefficients below ``NOISE_FLOOR`` of the largest become 0: their phase is rounding noise.
    """
    height, width = images.shape[-2:]
    with torch.autocast(images.device.type, enabled=False):
        spectrum = torch.fft.rfft2(to_grey(images.float()))
        modulus = spectrum.abs()
        audible = modulus >= NOISE_FLOOR * modulus.amax(dim=(-2, -1), keepdim=True).clamp_min(1e-12)
        phase = torch.where(audible, spectrum / modulus.clamp_min(1e-12), 0)
        return torch.fft.irfft2(phase * (height * width) ** 0.5, s=(height, width))


def swap_amplitude(
    content: Float[Tensor, "batch 3 height width"],
    style: Float[Tensor, "batch 3 height width"],
    share: float = 1.0,
) -> Float[Tensor, "batch 3 height width"]:
    """The phase of ``content`` under the amplitude of ``style``, channel by channel, in [0, 1].

    Args:
        content: RGB images in [0, 1] that give the phase.
        style: RGB images in [0, 1] that give the amplitude.
        share: Share of the style's amplitude, from 0 (the content itself) to 1.

    Source: amplitude mixing as in FACT (CVPR 2021).
    """
    ours, theirs = torch.fft.rfft2(content.float()), torch.fft.rfft2(style.float())
    amplitude = (1 - share) * ours.abs() + share * theirs.abs()
    mixed = torch.polar(amplitude, ours.angle())
    return torch.fft.irfft2(mixed, s=content.shape[-2:]).clamp(0, 1)


class PhaseEncoder(nn.Module):
    """A light CNN from a phase image to a feature: Conv3×3, BN, ReLU, average pool, FC.

    The layer kinds are the paper's; channels, stride and pooled size are INFERRED.

    Args:
        dim: Length of the feature.
        channels: Number of channels of the convolution.
        pooled: Side of the pooled map.
    """

    def __init__(self, dim: int, channels: int = 32, pooled: int = 7) -> None:
        super().__init__()
        self.convolve = nn.Sequential(
            nn.Conv2d(1, channels, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        )
        self.pooled = pooled
        self.project = nn.Linear(channels * pooled * pooled, dim)

    def forward(self, phase: Float[Tensor, "batch 1 height width"]) -> Float[Tensor, "batch dim"]:
        """Features of phase images, not L2-normalised."""
        maps = F.adaptive_avg_pool2d(self.convolve(phase), self.pooled)
        return self.project(maps.flatten(1)).float()
