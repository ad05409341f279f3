import math

import pytest
import torch
import torch.nn.functional as F
from torchvision.transforms.v2 import functional as tv

from tpsnet.data import Augment, AugmentConfig
from tpsnet.errors import InputError

STILL = {"crop_scale": (1.0, 1.0), "crop_ratio": (1.0, 1.0), "flip": 0.0}
PLAIN = {"jitter": 0.0, "grey": 0.0, "blur": 0.0}


def seeded(number: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(number)


@pytest.fixture
def images(rng):
    """Smooth images away from black and white, so that no factor used here is cut off."""
    coarse = torch.rand(16, 3, 5, 5, generator=rng) * 0.3 + 0.3
    return F.interpolate(coarse, (24, 20), mode="bicubic").clamp(0.3, 0.6)


def view(images, generator=None, **config):
    return Augment(AugmentConfig(**config))(images, generator or seeded())


def fixed(monkeypatch, value):
    """Every random number is ``value``: 1 − ε draws the greatest of each range, 0 the least."""
    monkeypatch.setattr(torch, "rand", lambda *shape, generator: torch.full(shape, value))


def test_nothing_asked_nothing_changed(images):
    before = images.clone()
    torch.testing.assert_close(view(images, **STILL, **PLAIN), before, atol=1e-5, rtol=0)
    assert torch.equal(images, before)


def test_the_input_is_never_written_to(images):
    before = images.clone()
    view(images, jitter=1.0, grey=1.0, blur=1.0)
    assert torch.equal(images, before)


def test_flip_is_exact(images):
    flipped = view(images, **STILL | {"flip": 1.0}, **PLAIN)
    torch.testing.assert_close(flipped, images.flip(3), atol=1e-5, rtol=0)


def test_about_half_are_flipped(rng):
    images = torch.rand(400, 3, 4, 4, generator=rng)
    views = view(images, **STILL | {"flip": 0.5}, **PLAIN)
    still = (views - images).abs().amax(dim=(1, 2, 3)) < 1e-4
    mirrored = (views - images.flip(3)).abs().amax(dim=(1, 2, 3)) < 1e-4
    assert bool((still ^ mirrored).all())
    assert 160 < int(mirrored.sum()) < 240


def test_a_ramp_tells_where_the_crop_lies():
    """On images of x and y, a view is a window: its slopes are the crop's sides, its middle inside."""
    n, side = 500, 32
    step = (torch.arange(side) + 0.5) / side
    ramp = torch.stack([step.expand(side, side), step[:, None].expand(side, side), torch.zeros(side, side)])
    views = view(
        ramp.expand(n, 3, side, side), crop_scale=(0.3, 0.6), crop_ratio=(0.8, 1.25), flip=0.0, **PLAIN
    )
    # Border pixels repeat the edge, so slopes are read in the middle.
    width = (views[:, 0, 16, 20] - views[:, 0, 16, 12]) / 8 * side
    height = (views[:, 1, 20, 16] - views[:, 1, 12, 16]) / 8 * side
    area, ratio = width * height, width / height
    assert 0.299 < area.min() < 0.32 and 0.58 < area.max() < 0.601
    assert 0.799 < ratio.min() < 0.82 and 1.22 < ratio.max() < 1.251
    assert abs(ratio.log().mean()) < 0.03, "wide and tall are equally likely"
    for axis, extent in ((0, width), (1, height)):
        middle = views[:, axis, 15:17, 15:17].mean(dim=(1, 2))
        low, high = middle - extent / 2, middle + extent / 2
        assert low.min() > -1e-4 and high.max() < 1 + 1e-4
        assert low.min() < 0.02 and high.max() > 0.98
    shift_x = views[:, 0, 16, 16] - 0.5
    shift_y = views[:, 1, 16, 16] - 0.5
    assert abs(torch.corrcoef(torch.stack([shift_x, shift_y]))[0, 1]) < 0.15


def test_a_crop_wider_than_the_image_goes_on_in_the_border_colour():
    drawing = torch.ones(8, 3, 32, 32)
    drawing[:, :, :, 12:20] = 0
    wide = view(drawing, crop_scale=(1.0, 1.0), crop_ratio=(2.0, 2.0), flip=0.0, **PLAIN)
    assert (wide[:, :, :, 0] == 1).all() and (wide[:, :, :, -1] == 1).all()
    assert torch.allclose((1 - wide[:, 0, 16]).sum(1), torch.tensor(8 / math.sqrt(2)), atol=0.8)


def test_each_image_gets_its_own_numbers(images):
    views = view(images[:1].expand_as(images).contiguous(), jitter=1.0)
    assert len({float(v.sum()) for v in views}) == len(images)


def test_geometry_does_not_depend_on_colour(images):
    """A silhouette has the same outline in a plain and in a coloured view of the same seed."""
    shape = (images.mean(dim=1, keepdim=True) > 0.45).float().expand(-1, 3, -1, -1) * 0.5 + 0.25
    plain, coloured = view(shape, **PLAIN), view(shape, jitter=1.0, grey=0.5, blur=0.0, contrast=0.3)
    assert not torch.allclose(plain, coloured, atol=0.02)
    for a, b in zip(plain.mean(1).flatten(1), coloured.mean(1).flatten(1), strict=True):
        assert torch.corrcoef(torch.stack([a, b]))[0, 1] > 0.9999


@pytest.mark.parametrize("name", ["crop", "flip", "jitter", "grey", "blur"])
def test_the_generator_moves_on_alike_whatever_the_config(images, name):
    one, other = seeded(), seeded()
    view(images, one)
    view(images, other, **({"crop_scale": (1.0, 1.0)} if name == "crop" else {name: 0.0}))
    assert torch.equal(one.get_state(), other.get_state())


def test_the_same_seed_the_same_view(images):
    assert torch.equal(view(images, seeded(3)), view(images, seeded(3)))
    assert not torch.equal(view(images, seeded(3)), view(images, seeded(4)))


GREATEST = 1 - 1e-6  # as a random number; probabilities are met by setting them to one


@pytest.mark.parametrize("draw, factor", [(0.0, 0.6), (GREATEST, 1.4)])
@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
def test_single_factors_are_torchvisions(images, monkeypatch, name, draw, factor):
    others = dict.fromkeys(("brightness", "contrast", "saturation", "hue"), 0.0) | {name: 0.4}
    fixed(monkeypatch, draw)
    ours = view(images, **STILL, jitter=1.0, grey=0.0, blur=0.0, **others)
    theirs = getattr(tv, f"adjust_{name}")(images, factor)
    torch.testing.assert_close(ours, theirs, atol=2e-4, rtol=0)


def test_all_factors_are_the_chain_of_torchvisions_and_hue(images, monkeypatch):
    """Brightness, contrast, saturation in this order; the hue of a colourless image is no matter."""
    fixed(monkeypatch, GREATEST)
    grey = images.mean(dim=1, keepdim=True).expand(-1, 3, -1, -1)
    ours = view(
        grey, **STILL, jitter=1.0, grey=0.0, blur=0.0, brightness=0.3, contrast=0.5, saturation=0.9, hue=0.5
    )
    theirs = tv.adjust_contrast(tv.adjust_brightness(grey, 1.3), 1.5)
    torch.testing.assert_close(ours, theirs, atol=2e-4, rtol=0)


def luma(x):
    return 0.299 * x[:, 0] + 0.587 * x[:, 1] + 0.114 * x[:, 2]


@pytest.mark.parametrize("draw, sign", [(0.0, -1), (GREATEST, 1)])
def test_hue_turns_like_torchvisions_and_keeps_luma(monkeypatch, draw, sign):
    """Red turned by a third of the wheel leans to green one way and to blue the other."""
    soft_red = torch.tensor([0.6, 0.4, 0.4]).view(1, 3, 1, 1).expand(1, 3, 8, 8)
    fixed(monkeypatch, draw)
    alone = dict.fromkeys(("grey", "blur", "brightness", "contrast", "saturation"), 0.0) | {"jitter": 1.0}
    ours = view(soft_red, **STILL, **alone, hue=1 / 3)
    theirs = tv.adjust_hue(soft_red, sign / 3)
    assert torch.equal(ours.argmax(dim=1), theirs.argmax(dim=1))
    torch.testing.assert_close(luma(ours), luma(soft_red), atol=1e-5, rtol=0)
    whole = view(soft_red, **STILL, **alone, hue=1.0)  # a whole turn
    torch.testing.assert_close(whole, soft_red, atol=1e-4, rtol=0)


def test_grey_is_luma_in_all_channels(images):
    grey = view(images, **STILL, jitter=0.0, grey=1.0, blur=0.0)
    torch.testing.assert_close(grey, luma(images)[:, None].expand(-1, 3, -1, -1), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name, config", [("jitter", {"hue": 0.0}), ("grey", {}), ("blur", {})])
def test_probabilities(rng, name, config):
    images = torch.rand(500, 3, 8, 8, generator=rng)
    views = view(images, **STILL, **PLAIN | {name: 0.3}, blur_sigma=(0.1, 0.1), **config)
    changed = (views - images).abs().amax(dim=(1, 2, 3)) > 1e-4
    assert 110 < int(changed.sum()) < 190


@pytest.mark.parametrize("draw, share", [(0.0, 0.02), (GREATEST, 0.06)])
def test_blur_is_torchvisions(images, monkeypatch, draw, share):
    """Away from the border, where they mirror and we repeat."""
    fixed(monkeypatch, draw)
    ours = view(images, **STILL, jitter=0.0, grey=0.0, blur=1.0, blur_sigma=(0.02, 0.06))
    theirs = tv.gaussian_blur(images, [9, 9], [share * 20] * 2)
    torch.testing.assert_close(ours[..., 4:-4, 4:-4], theirs[..., 4:-4, 4:-4], atol=2e-4, rtol=0)
    assert not torch.allclose(ours, images, atol=1e-3) or draw == 0


def test_blur_leaves_paper_white_and_the_others_alone(rng):
    images = (torch.rand(64, 3, 16, 16, generator=rng) > 0.5).float()
    images[:, :, :, :6] = 1
    views = view(images, **STILL, jitter=0.0, grey=0.0, blur=0.5, blur_sigma=(0.05, 0.05))
    torch.testing.assert_close(views[:, :, :, :2], torch.ones(64, 3, 16, 2), atol=1e-5, rtol=0)
    changed = (views - images).abs().amax(dim=(1, 2, 3)) > 1e-3
    assert 16 < int(changed.sum()) < 48
    torch.testing.assert_close(views[~changed], images[~changed], atol=1e-5, rtol=0)


def test_values_stay_in_range(rng):
    images = (torch.rand(64, 3, 16, 16, generator=rng) > 0.5).float()
    wild = view(images, brightness=1.0, contrast=1.0, saturation=1.0, hue=0.5, jitter=1.0, blur=0.5)
    assert wild.min() >= 0 and wild.max() <= 1
    assert wild.isfinite().all() and wild.shape == images.shape and wild.dtype == images.dtype


def test_one_image_and_one_pixel(images):
    assert view(images[:1]).shape == (1, 3, 24, 20)
    assert view(images[:2, :, :1, :1], blur=1.0).shape == (2, 3, 1, 1)


@pytest.mark.parametrize(
    "config",
    [
        {"crop_scale": (0.0, 1.0)},
        {"crop_ratio": (2.0, 1.0)},
        {"blur_sigma": (-1.0, 1.0)},
        {"flip": 1.5},
        {"contrast": -0.1},
    ],
)
def test_numbers_that_make_no_sense(config):
    with pytest.raises(InputError, match=next(iter(config))):
        AugmentConfig(**config)
