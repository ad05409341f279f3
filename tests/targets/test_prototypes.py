import math

import pytest
import torch

from tpsnet.errors import InputError
from tpsnet.targets import class_means, momentum_update


def test_means_by_hand():
    """East and north meet at 45°; class 1 has nobody; class 2 has one member."""
    z = torch.tensor([[1.0, 0], [0, 1], [0, -1]])
    means, counts = class_means(z, torch.tensor([0, 0, 2]), 4)
    h = math.sqrt(0.5)
    torch.testing.assert_close(means, torch.tensor([[h, h], [0, 0], [0, -1], [0, 0]]))
    assert counts.tolist() == [2, 0, 1, 0]


def test_same_as_a_slow_loop(unit, rng):
    z, labels = unit(40, 5), torch.randint(6, (40,), generator=rng)
    labels[labels == 3] = 4
    means, counts = class_means(z, labels, 6)
    for c in range(6):
        members = [z[i] for i in range(40) if labels[i] == c]
        assert counts[c] == len(members)
        if members:
            mean = sum(members) / len(members)
            torch.testing.assert_close(means[c], mean / mean.norm())
        else:
            assert (means[c] == 0).all()


def test_the_order_of_the_rows_is_no_matter(unit, rng):
    z, labels = unit(30, 4), torch.randint(3, (30,), generator=rng)
    shuffled = torch.randperm(30, generator=rng)
    torch.testing.assert_close(class_means(z, labels, 3)[0], class_means(z[shuffled], labels[shuffled], 3)[0])


def test_update_by_hand():
    """A quarter of the way from east to north: (3/4, 1/4), normalised."""
    east, north = torch.tensor([[1.0, 0]]), torch.tensor([[0.0, 1]])
    moved = momentum_update(east, north, torch.tensor([5]), 0.75)
    torch.testing.assert_close(moved, torch.tensor([[3.0, 1]]) / math.sqrt(10))


def test_empty_classes_keep_their_prototype(unit):
    prototypes, z = unit(4, 3), unit(6, 3)
    means, counts = class_means(z, torch.tensor([0, 0, 2, 2, 2, 0]), 4)
    before = prototypes.clone()
    moved = momentum_update(prototypes, means, counts, 0.5)
    assert torch.equal(moved[[1, 3]], prototypes[[1, 3]])
    assert not torch.isclose(moved[[0, 2]], prototypes[[0, 2]]).any()
    assert torch.equal(prototypes, before)


def test_the_count_decides_who_is_empty(unit):
    """Also if the row of means holds something, as one from an earlier epoch may."""
    prototypes, means = unit(3, 4), unit(3, 4)
    moved = momentum_update(prototypes, means, torch.tensor([0, 2, 0]), 0.5)
    assert torch.equal(moved[[0, 2]], prototypes[[0, 2]])


@pytest.mark.parametrize("momentum", [0.0, 0.1, 0.9, 1.0])
def test_rows_stay_unit(unit, momentum):
    moved = momentum_update(unit(5, 4), unit(5, 4), torch.arange(5), momentum)
    torch.testing.assert_close(moved.norm(dim=1), torch.ones(5, dtype=torch.float64))


def test_the_two_ends(unit):
    prototypes, means, counts = unit(5, 4), unit(5, 4), torch.ones(5, dtype=torch.int64)
    torch.testing.assert_close(momentum_update(prototypes, means, counts, 0.0), means)
    torch.testing.assert_close(momentum_update(prototypes, means, counts, 1.0), prototypes)


def test_a_mean_that_cancels_the_prototype_is_passed_over(unit):
    prototypes = unit(2, 3)
    assert torch.equal(momentum_update(prototypes, -prototypes, torch.tensor([1, 1]), 0.5), prototypes)
    nothing = torch.zeros_like(prototypes)  # members that cancel one another
    torch.testing.assert_close(momentum_update(prototypes, nothing, torch.tensor([2, 2]), 0.5), prototypes)


@pytest.mark.parametrize("momentum", [-0.1, 1.1, math.nan])
def test_momentum_outside_its_range(unit, momentum):
    with pytest.raises(InputError, match="momentum"):
        momentum_update(unit(2, 3), unit(2, 3), torch.tensor([1, 1]), momentum)
