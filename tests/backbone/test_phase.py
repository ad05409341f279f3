"""The phase image against a slow reference in complex128, and what it must not depend on."""

import cmath

import numpy as np
import pytest
import torch

from tpsnet.backbone import PhaseEncoder, phase_drawing, phase_image, swap_amplitude, to_grey


def slow_phase_image(rgb: np.ndarray) -> np.ndarray:
    """DFT by its definition, coefficient by coefficient; amplitude sqrt(HW), phase kept."""
    grey = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]
    h, w = grey.shape
    rows = np.array([[cmath.exp(-2j * cmath.pi * u * x / h) for x in range(h)] for u in range(h)])
    cols = np.array([[cmath.exp(-2j * cmath.pi * v * y / w) for y in range(w)] for v in range(w)])
    spectrum = rows @ grey @ cols
    loudest = abs(spectrum).max()
    phase = [
        [cmath.exp(1j * cmath.phase(c)) if abs(c) >= 1e-6 * loudest else 0 for c in row] for row in spectrum
    ]
    back = rows.conj() @ (np.sqrt(h * w) * np.array(phase)) @ cols.conj() / (h * w)
    return back.real


@pytest.mark.parametrize("size", [(8, 8), (7, 10)])
def test_same_as_the_slow_reference(rng, size):
    images = torch.rand(2, 3, *size, generator=rng)
    ours = phase_image(images)
    for image, phase in zip(images, ours, strict=True):
        np.testing.assert_allclose(phase[0], slow_phase_image(image.double().numpy()), atol=2e-4)


def test_amplitude_is_constant_and_phase_is_kept(rng):
    images = torch.rand(1, 3, 16, 16, generator=rng)
    spectrum = torch.fft.rfft2(phase_image(images))
    torch.testing.assert_close(spectrum.abs(), torch.full_like(spectrum.abs(), 16.0), atol=1e-3, rtol=0)
    turned = torch.fft.rfft2(to_grey(images)) * spectrum.conj()
    assert turned.angle().abs().max() < 1e-3


def test_root_mean_square_is_one(rng):
    phase = phase_image(torch.rand(4, 3, 32, 24, generator=rng))
    torch.testing.assert_close(phase.square().mean(dim=(1, 2, 3)).sqrt(), torch.ones(4), atol=1e-4, rtol=0)


def test_contrast_does_not_matter(rng):
    """Scaling the picture scales every amplitude and turns no phase."""
    images = torch.rand(2, 3, 16, 16, generator=rng)
    torch.testing.assert_close(phase_image(0.3 * images), phase_image(images), atol=1e-3, rtol=0)


def test_blank_paper_has_no_phase_but_its_mean():
    """Rounding noise has a phase too; the noise floor must silence it: only the constant is left."""
    phase = phase_image(torch.full((1, 3, 24, 24), 0.7))
    torch.testing.assert_close(phase, torch.full_like(phase, 1 / 24), atol=1e-5, rtol=0)


def test_stripes_stay_stripes(rng):
    """All columns are alike, so most coefficients are rounding noise, whose phases would draw a texture."""
    stripes = torch.rand(1, 3, 30, 1, generator=rng).expand(1, 3, 30, 42)
    phase = phase_image(stripes)
    torch.testing.assert_close(phase, phase[..., :1].expand_as(phase), atol=1e-3, rtol=0)


def test_a_faint_pattern_on_paper_is_not_silenced():
    image = torch.full((1, 3, 16, 16), 0.5)
    image += 1e-4 * torch.cos(torch.arange(16) * 2 * torch.pi * 3 / 16)
    assert phase_image(image).std() > 0.05


def test_black_is_not_nan():
    assert torch.equal(phase_image(torch.zeros(1, 3, 8, 8)), torch.zeros(1, 1, 8, 8))


def test_no_bfloat16_inside_autocast(rng):
    images = torch.rand(1, 3, 16, 16, generator=rng)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(phase_image(images), phase_image(images.clone()))
        assert phase_image(images.bfloat16()).dtype == torch.float32


def test_swapping_with_itself_or_not_at_all_changes_nothing(rng):
    a, b = torch.rand(2, 1, 3, 16, 16, generator=rng)
    torch.testing.assert_close(swap_amplitude(a, a), a, atol=1e-5, rtol=0)
    torch.testing.assert_close(swap_amplitude(a, b, share=0.0), a, atol=1e-5, rtol=0)


def test_swapped_image_has_the_content_phase(rng):
    # Faint pictures on grey, so that nothing is clipped.
    a, b = 0.5 + 0.02 * torch.randn(2, 1, 3, 16, 16, generator=rng)
    swapped = torch.fft.rfft2(swap_amplitude(a, b))
    torch.testing.assert_close(swapped.abs(), torch.fft.rfft2(b).abs(), atol=1e-2, rtol=1e-3)
    assert (swapped * torch.fft.rfft2(a).conj()).angle().abs().median() < 1e-3


def test_encoder_gives_one_feature_an_image_and_learns(rng):
    encoder = PhaseEncoder(dim=12)
    features = encoder(phase_image(torch.rand(4, 3, 48, 48, generator=rng)))
    features.square().sum().backward()
    assert features.shape == (4, 12)
    assert all(p.grad.abs().sum() > 0 for p in encoder.parameters())


def slow_drawing(rgb: np.ndarray, scales: int, wavelength: float, noise: float) -> np.ndarray:
    """Phase congruency on whole complex spectra, filter by filter, the border's colour outside."""
    grey = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]
    rows, columns = grey.shape
    grey = np.pad(grey, ((12, 36 - 12 - rows), (12, 36 - 12 - columns)), mode="edge")
    spectrum = np.fft.fft2(grey)
    total, amplitude = np.zeros((3, 36, 36)), np.zeros((36, 36))
    for s in range(scales):
        gain = np.zeros((3, 36, 36), dtype=complex)
        for v in range(36):
            for u in range(36):
                fy, fx = np.fft.fftfreq(36)[[v, u]]
                radius = np.hypot(fx, fy)
                if radius:
                    window = np.exp(-((np.log(radius * wavelength * 2.1**s) / np.log(0.65)) ** 2) / 2)
                    window /= 1 + (radius / 0.45) ** 30
                    gain[:, v, u] = window * np.array([1, 1j * fx / radius, 1j * fy / radius])
        parts = np.fft.ifft2(spectrum * gain).real
        total += parts
        amplitude += np.sqrt((parts**2).sum(axis=0))
    energy = np.sqrt((total**2).sum(axis=0))
    agree = np.maximum(0, 1 - 1.5 * np.arccos(np.clip(energy / (amplitude + 1e-6), -1, 1)))
    drawing = 1 - np.minimum(1, 2 * agree * np.maximum(0, energy - noise) / (energy + 1e-6))
    return drawing[12 : 12 + rows, 12 : 12 + columns]


def test_the_drawing_is_the_slow_one(rng):
    images = torch.rand(2, 3, 12, 10, generator=rng)
    ours = phase_drawing(images, scales=2, wavelength=3.0, noise=0.02)
    assert ours.shape == images.shape and ours.min() >= 0 and ours.max() <= 1
    for image, drawing in zip(images, ours, strict=True):
        expected = slow_drawing(image.double().numpy(), 2, 3.0, 0.02)
        for channel in drawing:
            # Near 1 the arccos of float32 is good to √(2 · 10⁻⁷); slope and gain make that ten times as much.
            np.testing.assert_allclose(channel, expected, atol=1e-2)


def test_a_drawing_knows_neither_contrast_nor_which_side_is_dark(rng):
    """Only the noise floor does."""
    images = torch.rand(2, 3, 24, 20, generator=rng)
    drawing = phase_drawing(images, noise=0.0)
    torch.testing.assert_close(phase_drawing(0.3 * images, noise=0.0), drawing, atol=1e-2, rtol=0)
    torch.testing.assert_close(phase_drawing(1 - images, noise=0.0), drawing, atol=1e-2, rtol=0)
    assert (phase_drawing(0.01 * images) == 1).all()


def test_a_filled_shape_becomes_its_outline():
    """Black on white and two greys alike: ink at the edges, paper elsewhere, with a trace of waves."""
    for paper, ink in ((1.0, 0.0), (0.7, 0.4)):
        images = torch.full((1, 3, 48, 48), paper)
        images[:, :, 12:36, 12:36] = ink
        drawing = phase_drawing(images)[0, 0]
        edge = drawing[24, 10:14]
        assert edge.min() < 0.1 and drawing[24, 20:28].mean() > 0.9 and drawing[24, :8].mean() > 0.9
        torch.testing.assert_close(drawing, drawing.T, atol=1e-4, rtol=0)


def test_blank_paper_is_drawn_blank():
    assert (phase_drawing(torch.full((2, 3, 20, 20), 0.4)) == 1).all()
