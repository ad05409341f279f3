"""What a frozen network is shown: sizes and range of every view, figure against ground, and what is kept."""

import pytest
import torch
import torch.nn.functional as F
from pictures import patterned

from tpsnet.backbone import (
    VIEWS,
    Backbone,
    embed_with_flip,
    figure_ground,
    load_backbone,
    view_vectors,
    views,
)


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_is_an_rgb_image(name, rng):
    images = torch.rand(3, 3, 20, 28, generator=rng)
    seen = VIEWS[name](images)
    assert seen.shape == images.shape and seen.dtype == torch.float32
    assert float(seen.min()) >= 0 and float(seen.max()) <= 1
    torch.testing.assert_close(VIEWS[name](images[1:2]), seen[1:2], atol=1e-5, rtol=0)


def test_the_first_view_is_the_image_itself(rng):
    images = torch.rand(2, 3, 8, 8, generator=rng)
    assert torch.equal(VIEWS[next(iter(VIEWS))](images), images)


def square(figure: tuple[float, ...], ground: tuple[float, ...]) -> torch.Tensor:
    image = torch.tensor(ground, dtype=torch.float32).view(1, 3, 1, 1).repeat(1, 1, 16, 16)
    image[..., 5:11, 5:11] = torch.tensor(figure, dtype=torch.float32).view(1, 3, 1, 1)
    return image


@pytest.mark.parametrize(
    ("figure", "ground"),
    [
        ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
        ((1.0, 1.0, 1.0), (0.1, 0.2, 0.1)),
        ((0.9, 0.2, 0.1), (0.9, 0.9, 0.9)),
    ],
)
def test_the_figure_is_dark_on_white_whatever_the_colours(figure, ground):
    seen = figure_ground(square(figure, ground))
    torch.testing.assert_close(seen, square((0, 0, 0), (1, 1, 1)))


def test_tones_remain_below_the_limit_of_the_gain():
    """By the largest difference of the three channels."""
    seen = figure_ground(square((0.9, 0.8, 0.9), (0.9, 0.9, 0.9)), gain=4.0)
    assert float(seen[0, 0, 8, 8]) == pytest.approx(0.6) and float(seen[0, 0, 0, 0]) == 1


def test_what_touches_one_side_is_not_taken_for_the_ground():
    image = square((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    image[..., 5:11, :5] = 0
    assert torch.equal(figure_ground(image)[0, 0] == 0, image[0, 0] == 0)


@pytest.fixture
def encoded(monkeypatch) -> list[int]:
    """How many images were encoded at each call."""
    found, encode = [], Backbone.encode_image

    def counted(self, images, *rest):
        found.append(len(images))
        return encode(self, images, *rest)

    monkeypatch.setattr(Backbone, "encode_image", counted)
    monkeypatch.setattr(views, "_kept", type(views._kept)())
    return found


def test_a_look_is_averaged_with_the_mirror_image(small_clip, rng, encoded):
    backbone, images = load_backbone(small_clip), patterned("line", rng)[0]
    for name, view in VIEWS.items():
        both = embed_with_flip(lambda x, view=view: backbone.encode_image(view(x)), images)
        torch.testing.assert_close(view_vectors(backbone, name, images), F.normalize(sum(both), dim=1))


def test_the_same_images_are_encoded_once(small_clip, rng, encoded):
    """By what they hold, not by which object holds them; another backbone of the same weights too."""
    images, others = patterned("line", rng)[0], patterned("line", rng)[0]
    first = view_vectors(load_backbone(small_clip), "colour", images)
    assert encoded == [24, 24]
    again = view_vectors(load_backbone(small_clip), "colour", images.subset(range(24)))
    assert torch.equal(again, first) and encoded == [24, 24]
    view_vectors(load_backbone(small_clip), "colour", others)
    view_vectors(load_backbone(small_clip), "phase drawing", images)
    assert len(encoded) == 6


def test_what_was_not_asked_for_lately_is_given_up(small_clip, rng, encoded, monkeypatch):
    backbone = load_backbone(small_clip)
    some = [patterned(name, rng)[0] for name in ("line", "flat", "solid")]
    monkeypatch.setattr(views, "KEPT", 2 * view_vectors(backbone, "colour", some[0]).nbytes)
    view_vectors(backbone, "colour", some[1])
    view_vectors(backbone, "colour", some[0])
    view_vectors(backbone, "colour", some[2])  # in the place of the second
    encoded.clear()
    view_vectors(backbone, "colour", some[0])
    assert encoded == []
    view_vectors(backbone, "colour", some[1])
    assert encoded == [24, 24]
