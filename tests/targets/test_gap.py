"""The centres of two domains: a shift between the same images, and classes that only one domain shows."""

import pytest
import torch
import torch.nn.functional as F

from tpsnet.targets import paired_centres

SHIFT = torch.tensor([0.1, -0.2, 0.0, 0.1], dtype=torch.float64)


@pytest.fixture
def drawn(unit):
    """``drawn(things)``: six images of each of the first of eight things, which lie far apart."""
    middles = torch.cat([torch.eye(4), -torch.eye(4)]).double()
    return lambda things: (middles[:things, None] + 0.05 * unit(6 * things, 4).view(things, 6, 4)).flatten(
        0, 1
    )


def test_a_shift_between_the_same_things_is_the_gap(drawn):
    first, second = drawn(8) + SHIFT / 2, drawn(8) - SHIFT / 2
    found = paired_centres(first, second)
    torch.testing.assert_close(found[0] - found[1], SHIFT, atol=0.03, rtol=0)
    torch.testing.assert_close(found.mean(dim=0), (first.mean(dim=0) + second.mean(dim=0)) / 2)


def test_what_one_domain_alone_shows_does_not_move_the_gap(drawn):
    """Three of eight things are missing; the means differ by these."""
    first, second = drawn(8) + SHIFT / 2, drawn(5) - SHIFT / 2
    found = paired_centres(first, second)
    by_means = first.mean(dim=0) - second.mean(dim=0)
    assert (found[0] - found[1] - SHIFT).norm() < 0.2 * (by_means - SHIFT).norm()


def test_the_order_of_images_and_domains_does_not_matter(unit):
    first, second = F.normalize(unit(20, 6), dim=1), F.normalize(unit(15, 6), dim=1)
    found = paired_centres(first, second)
    torch.testing.assert_close(paired_centres(second.flip(0), first.flip(0)), found.flip(0))


def test_one_image_a_domain_is_enough(unit):
    a, b = unit(1, 4), unit(1, 4)
    torch.testing.assert_close(paired_centres(a, b), torch.cat([a, b]))
