r"""The phase prior: an image rebuilt from its Fourier phase, and lines drawn where local phases agree.

.. math:: F = \mathcal F(g) = A e^{j\varphi}, \qquad x^{phase} = \mathcal F^{-1}(R\, e^{j\varphi})

with :math:`g` the grey image. Source: TPSNet (CVPR 2026, arXiv:2603.12711); the constant-amplitude image
goes back to DG-UCDIR (ICCV 2023).

Ours differs: :math:`R = \sqrt{HW}` makes the result's root mean square 1 whatever the size, and nothing is
clipped or rounded (the peers use :math:`R = 50000` on 0–255 images and clip to bytes, which zeroes the
negative half). :math:`R` is INFERRED. The transform runs in float32, batched on the images' device.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from scipy.fft import next_fast_len
from torch import Tensor, nn

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
BORDER = 12  # pixels that go on outside at least, so that opposite borders do not meet
NYQUIST = 0.45  # filters end before the finest frequency, where half a wave has no place
EPSILON = 1e-6
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


def phase_drawing(
    images: Float[Tensor, "batch 3 height width"],
    *,
    scales: int = 3,
    wavelength: float = 2.2,
    ratio: float = 2.1,
    bandwidth: float = 0.65,
    noise: float = 0.05,
    gain: float = 2.0,
) -> Float[Tensor, "batch 3 height width"]:
    r"""Dark lines on white paper where the phases of all scales agree: an image's phase as a line drawing.

    With the even part f and the two odd parts h of the image under a log-Gabor filter of each scale s,

    .. math::
        E = \Bigl\lVert \sum_s (f_s, h_s) \Bigr\rVert, \quad A = \sum_s \lVert (f_s, h_s) \rVert, \quad
        PC = \max\bigl(0,\, 1 - \tfrac{3}{2} \arccos \tfrac{E}{A}\bigr) \frac{\max(0, E - T)}{E}

    and the drawing is :math:`1 - \min(1, c \, PC)`. The angle between the scales does not depend on
    amplitudes; contrast enters only through the noise floor T. So a drawing in any style becomes one in ink.

    Source: phase congruency (Kovesi, Videre 1999) on the monogenic signal (Felsberg and Sommer, IEEE TSP
    2001). INFERRED: TPSNet (arXiv:2603.12711) takes the phase of the whole image under constant amplitude,
    see ``phase_image``; that the local phase carries its phase prior to a frozen CLIP is ours. Ours differs
    from Kovesi's: the noise floor is fixed, nothing weighs the spread of frequencies, and the border's colour
    goes on outside the image. The defaults were found with an eye on the labels of line ↔ shaded and
    flat ↔ solid.

    Args:
        images: RGB in [0, 1].
        scales: Number of filters.
        wavelength: Wavelength of the finest filter in pixels.
        ratio: Ratio of the wavelengths of neighbouring filters.
        bandwidth: Ratio of a filter's standard deviation to its centre frequency; the nearer to 1, the
            narrower.
        noise: The noise floor T, in the images' units.
        gain: Factor c.
    """
    with torch.autocast(images.device.type, enabled=False):
        height, width = images.shape[-2:]
        size = [next_fast_len(side + 2 * BORDER, real=True) for side in (height, width)]
        outside = (BORDER, size[1] - width - BORDER, BORDER, size[0] - height - BORDER)
        spectrum = torch.fft.rfft2(F.pad(to_grey(images.float()), outside, mode="replicate"))
        fy = torch.fft.fftfreq(size[0], device=images.device)[:, None]
        fx = torch.fft.rfftfreq(size[1], device=images.device)[None]
        radius = torch.hypot(fx, fy)
        radius[0, 0] = 1.0
        odd = torch.stack([torch.ones_like(radius), 1j * fx / radius, 1j * fy / radius])
        total, amplitude = 0.0, 0.0
        for s in range(scales):
            octaves = torch.log(radius * wavelength * ratio**s) / math.log(bandwidth)
            window = torch.exp(-(octaves**2) / 2) / (1 + (radius / NYQUIST) ** 30)
            window[0, 0] = 0.0
            parts = torch.fft.irfft2(spectrum * window * odd, s=size)  # (batch, 3, height, width)
            total, amplitude = total + parts, amplitude + _length(parts)
        energy = _length(total)
        angle = torch.acos((energy / (amplitude + EPSILON)).clamp(-1, 1))
        congruency = (1 - 1.5 * angle).clamp_min(0) * (energy - noise).clamp_min(0) / (energy + EPSILON)
        drawing = 1 - (gain * congruency).clamp(0, 1)
        return drawing[..., BORDER : BORDER + height, BORDER : BORDER + width].expand(-1, 3, -1, -1)


def _length(parts: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 1 height width"]:
    # Torch's own norm over the second axis takes six times as long.
    return parts.square().sum(dim=1, keepdim=True).sqrt()


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
