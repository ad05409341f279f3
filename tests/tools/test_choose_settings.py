"""The label-free criterion: its value by hand, against slow loops, and what it does not reward."""

import pytest
import torch

from tools.choose_settings import AXES, START, choose, cross_domain_agreement
from tpsnet.data import AugmentConfig
from tpsnet.methods import TPSNetConfig


def slow_kappa(one, other) -> float:
    votes = [
        (one[0][i] == one[1][j], other[0][i] == other[1][j])
        for i in range(len(one[0]))
        for j in range(len(one[1]))
    ]
    n = len(votes)
    observed = sum(bool(a) == bool(b) for a, b in votes) / n
    yes = [sum(bool(v[k]) for v in votes) / n for k in range(2)]
    chance = yes[0] * yes[1] + (1 - yes[0]) * (1 - yes[1])
    return (observed - chance) / (1 - chance)


def test_by_hand():
    """2 × 2 pairs; one says yes to the diagonal, the other to its first half: observed 3/4, chance 1/2."""
    one = torch.tensor([0, 1]), torch.tensor([0, 1])
    other = torch.tensor([0, 1]), torch.tensor([0, 2])
    assert cross_domain_agreement(one, other) == pytest.approx((0.75 - 0.5) / (1 - 0.5))


def test_against_slow_loops(rng):
    one = [torch.randint(0, 4, (n,), generator=rng) for n in (13, 17)]
    other = [torch.where(torch.rand(len(x), generator=rng) < 0.3, (x + 1) % 4, x) for x in one]
    assert 0.1 < cross_domain_agreement(one, other) < 0.9
    assert cross_domain_agreement(one, other) == pytest.approx(slow_kappa(one, other), abs=1e-12)


def test_names_of_clusters_do_not_matter(rng):
    one = [torch.randint(0, 5, (30,), generator=rng) for _ in range(2)]
    renamed = torch.randperm(5, generator=rng)
    assert cross_domain_agreement(one, [renamed[x] for x in one]) == pytest.approx(1)


def test_clusters_of_one_domain_only_earn_nothing():
    """Perfectly stable, and useless for retrieval across domains."""
    pure = torch.tensor([0, 0, 1, 1]), torch.tensor([2, 2, 3, 3])
    assert cross_domain_agreement(pure, pure) == 0


def test_only_a_clear_winner_leaves_the_start():
    assert choose({0.1: 50.0, 0.2: 52.0, 0.4: 51.0}, 0.1) == 0.2
    assert choose({0.1: 50.0, 0.2: 50.9, 0.4: 40.0}, 0.1) == 0.1
    assert choose({0.1: 50.0, 0.2: 40.0}, 0.1) == 0.1


def test_what_is_chosen_is_what_ships():
    """docs/settings.md and the defaults say the same."""
    from pathlib import Path

    page = (Path(__file__).parents[2] / "docs" / "settings.md").read_text(encoding="utf-8")
    shipped = TPSNetConfig(clusters=1)
    for axis in AXES:
        value = AugmentConfig().crop_scale[0] if axis == "crop" else getattr(shipped, axis)
        assert f"`{axis}` {value:g}" in page.split("Chosen: ")[1].split(". Made by")[0]
    assert list(START) == list(AXES) and all(START[axis] in values for axis, values in AXES.items())
