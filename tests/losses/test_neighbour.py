"""The contrast with a drawn neighbour: a slow reference, and who competes."""

import math

import pytest
import torch

from tpsnet.losses import neighbour_contrast

TAU = 0.2
ONES = torch.ones(6, dtype=torch.float64)


def slow(z, drawn, related, weights) -> float:
    total = 0.0
    for i, row in enumerate(z):
        scores = [math.exp(float(row @ p) / TAU) for p in drawn]
        rivals = sum(s for j, s in enumerate(scores) if j == i or not related[i, j])
        total -= float(weights[i]) * math.log(scores[i] / rivals)
    return total / len(z)


def test_it_is_the_slow_reference(unit, rng):
    z, drawn, related = unit(6, 4), unit(6, 4), torch.rand(6, 6, generator=rng) < 0.4
    before, weights = related.clone(), torch.rand(6, generator=rng, dtype=torch.float64)
    found = neighbour_contrast(z, drawn, related, weights, temperature=TAU)
    assert float(found) == pytest.approx(slow(z, drawn, related, weights))
    assert float(found) != pytest.approx(slow(z, drawn, torch.zeros(6, 6, dtype=torch.bool), weights))
    assert torch.equal(related, before)


def test_the_drawn_neighbour_counts_whether_or_not_it_is_marked(unit):
    z, drawn = unit(5, 3), unit(5, 3)
    ways = [
        neighbour_contrast(z, drawn, mark, ONES[:5], temperature=TAU)
        for mark in (~torch.eye(5).bool() & False, torch.eye(5).bool())
    ]
    assert torch.equal(*ways) and ways[0] > 0


def test_other_neighbours_of_a_row_do_not_push_it_away(circle):
    """Two rows at one place, each drawn for the other: as rivals they cost log 2, as neighbours nothing."""
    z = circle(0, 0)
    apart, related = torch.eye(2).bool(), torch.ones(2, 2, dtype=torch.bool)
    assert float(neighbour_contrast(z, z, apart, ONES[:2], temperature=TAU)) == pytest.approx(math.log(2))
    assert float(neighbour_contrast(z, z, related, ONES[:2], temperature=TAU)) == 0


def test_the_gradient_reaches_both_sides(unit):
    z, drawn = unit(4, 3).requires_grad_(), unit(4, 3).requires_grad_()
    neighbour_contrast(z, drawn, torch.zeros(4, 4, dtype=torch.bool), ONES[:4], temperature=TAU).backward()
    assert z.grad.abs().max() > 1e-3 and drawn.grad.abs().max() > 1e-3
