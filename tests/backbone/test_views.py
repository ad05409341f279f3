"""What a frozen network is shown: sizes and range of every view, and figure against ground."""

import pytest
import torch

from tpsnet.backbone import VIEWS, figure_ground


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
