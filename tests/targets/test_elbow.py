"""The elbow: blobs are counted, the rule by hand, short and flat curves."""

import pytest
import torch

from tpsnet.errors import InputError
from tpsnet.targets import elbow, elbow_grid
from tpsnet.targets.elbow import knee


def test_well_separated_blobs_are_counted(rng):
    centres = 5 * torch.randn(12, 16, generator=rng)
    x = centres.repeat_interleave(20, 0) + 0.1 * torch.randn(240, 16, generator=rng)
    found = elbow(x, tuple(range(4, 41, 4)), seed=0)
    assert found.k == 12
    assert found.ks == tuple(range(4, 41, 4)) and len(found.inertia) == 10
    assert list(found.inertia) == sorted(found.inertia, reverse=True)


def test_the_same_seed_the_same_curve(rng):
    x = torch.randn(60, 4, generator=rng)
    assert elbow(x, (2, 4, 8), seed=3) == elbow(x, (8, 4, 2, 4), seed=3)


def test_the_rule_by_hand():
    """Scaled to the square: (0, 1), (1/4, 1/5), (1/2, 1/10), (1, 0): below the chord by .55, .4."""
    assert knee((2, 4, 6, 10), (110.0, 30.0, 20.0, 10.0)) == 4
    assert knee((2, 4, 6, 10), (110.0, 90.0, 20.0, 10.0)) == 6
    assert knee((1, 2, 3), (30.0, 20.0, 10.0)) == 1  # a straight line has no elbow


def test_short_and_flat_curves():
    assert knee((3, 9), (5.0, 1.0)) == 3 and knee((7,), (0.0,)) == 7
    assert knee((2, 4, 8), (0.0, 0.0, 0.0)) == 2
    x = torch.zeros(5, 2)
    assert elbow(x, (2, 3, 50), seed=0).ks == (2, 3)
    with pytest.raises(InputError, match="none of k"):
        elbow(x, (6, 7), seed=0)


def test_the_grid_reaches_a_quarter_of_the_rows_in_equal_ratios():
    assert elbow_grid(1600)[0] == 2 and elbow_grid(1600)[-1] == 400
    assert elbow_grid(1600, points=3) == (2, 28, 400)  # 2 · 14.14 · 14.14
    assert elbow_grid(1) == (1,) and elbow_grid(2) == (2,) and elbow_grid(16) == (2, 3, 4)
    assert all(1 <= k <= n for n in range(1, 300) for k in elbow_grid(n))


def test_few_classes_of_many_pictures_are_within_reach():
    """UEM's DomainNet: seven classes, thousands of pictures."""
    assert elbow_grid(14000)[-1] == 1000 and min(abs(k - 7) for k in elbow_grid(14000)) <= 1
