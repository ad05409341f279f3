"""The unified structure against slow loops, merges worked by hand, and its bookkeeping."""

import itertools
import math

import pytest
import torch

from tpsnet.errors import InputError
from tpsnet.targets import merge_pairs, translate, unify_prototypes


def slow_matches(own, moved, merge) -> list[tuple[int, int]]:
    """Every assignment tried, the cheapest kept, either condition on lists."""
    own, moved = own.tolist(), moved.tolist()
    swapped = len(own) > len(moved)
    few, many = (moved, own) if swapped else (own, moved)
    cheapest = min(
        itertools.permutations(range(len(many)), len(few)),
        key=lambda p: sum(math.dist(few[i], many[j]) for i, j in enumerate(p)),
    )
    gaps = [
        [min((math.dist(a, b) for j, b in enumerate(x) if j != i), default=math.inf) for i, a in enumerate(x)]
        for x in (own, moved)
    ]
    pairs = [(j, i) if swapped else (i, j) for i, j in enumerate(cheapest)]
    least = min(*gaps[0], *gaps[1])
    limit = {(a, b): least if merge == "global" else min(gaps[0][a], gaps[1][b]) for a, b in pairs}
    return sorted((a, b) for a, b in pairs if math.dist(own[a], moved[b]) < limit[a, b])


@pytest.mark.parametrize("merge", ["local", "global"])
@pytest.mark.parametrize("sizes", [(4, 4), (5, 3), (3, 5), (1, 4), (4, 1)])
def test_same_pairs_as_every_assignment_tried(sizes, merge, rng):
    for _ in range(20):
        own = torch.randn(sizes[0], 3, generator=rng, dtype=torch.float64)
        near = own[torch.randperm(sizes[0], generator=rng)]
        moved = torch.cat([near, torch.randn(5, 3, generator=rng, dtype=torch.float64)])[: sizes[1]]
        moved = moved + 0.3 * torch.randn(moved.shape, generator=rng, dtype=torch.float64)
        found = [tuple(x) for x in torch.stack(merge_pairs(own, moved, merge), dim=1).tolist()]
        assert found == slow_matches(own, moved, merge)


def test_a_merge_by_hand():
    """On a line: 0 and 10 against 1, 14 and 30. Smallest gaps 10 and 13; 0–1 and 10–14 are nearer."""
    own, moved = torch.tensor([[0.0], [10.0]]), torch.tensor([[30.0], [1.0], [14.0]])
    both = unify_prototypes(own, moved)
    assert both.prototypes[:, 0].tolist() == [0.5, 12.0, 30.0]
    assert both.other.tolist() == [2, 0, 1]
    assert both.merged.tolist() == [True, True, False]


@pytest.mark.parametrize("merge", ["local", "global"])
def test_the_condition_is_strict_and_looks_at_both_domains(merge):
    own = torch.tensor([[0.0], [10.0]])

    def merged(*moved: float) -> list[bool]:
        return unify_prototypes(own, torch.tensor(moved)[:, None], merge).merged.tolist()

    assert merged(4.0, 14.0) == [True, True]
    # ten apart is not nearer than ten
    assert merged(0.5, 20.0) == [True, False, False]
    # the other domain's gaps count too: 3 is near enough for a gap of 10, not for one of 2
    assert merged(3.0, 40.0) == [True, False, False] and not any(merged(3.0, 5.0))
    # a gap elsewhere stops the pair only where one limit holds for all
    assert sum(merged(3.0, 40.0, 42.0)) == (merge == "local")


@pytest.mark.parametrize("merge", ["local", "global"])
def test_clusters_in_the_same_place_stop_no_merge(merge):
    """As k-means leaves them where there are fewer different rows than clusters."""
    rows = torch.tensor([[0.0], [10.0], [10.0], [20.0]])
    assert unify_prototypes(rows, rows + 1, merge).merged.all()


def test_no_merge_at_all(rng):
    own, moved = torch.randn(4, 3, generator=rng), torch.randn(6, 3, generator=rng)
    for both in (unify_prototypes(own, moved, "none"), unify_prototypes(own, moved + 100)):
        assert torch.equal(
            both.prototypes, torch.cat([own, moved if not both.prototypes.max() > 50 else moved + 100])
        )
        assert both.other.tolist() == list(range(4, 10)) and not both.merged.any()


def test_every_prototype_merges(rng):
    own = 10 * torch.eye(5)
    order = torch.randperm(5, generator=rng)
    both = unify_prototypes(own, own[order] + 0.2)
    assert both.merged.all() and torch.equal(both.other, order)
    torch.testing.assert_close(both.prototypes, own + 0.1)


def test_one_cluster_each_is_the_same_cluster():
    both = unify_prototypes(torch.tensor([[0.0, 0.0]]), torch.tensor([[5.0, 0.0]]))
    assert both.prototypes.tolist() == [[2.5, 0.0]] and both.other.tolist() == [0]


def test_every_cluster_finds_its_own_row(rng):
    own = torch.randn(7, 3, generator=rng)
    moved = torch.cat([own[:3] + 0.01, torch.randn(4, 3, generator=rng)])
    both = unify_prototypes(own, moved)
    assert len(both.prototypes) == 14 - int(both.merged.sum()) and both.merged[:3].all()
    for cluster, row in enumerate(both.other.tolist()):
        expected = (own[row] + moved[cluster]) / 2 if both.merged[row] else moved[cluster]
        assert torch.equal(both.prototypes[row], expected)
    for cluster in range(7):
        if not both.merged[cluster]:
            assert torch.equal(both.prototypes[cluster], own[cluster])


def test_translation_takes_one_mean_to_the_other(rng):
    start, goal = torch.randn(9, 4, generator=rng), torch.randn(5, 4, generator=rng)
    moved = translate(start, start, goal)
    torch.testing.assert_close(moved.mean(dim=0), goal.mean(dim=0))
    by_hand = translate(
        torch.tensor([[1.0, 1.0]]), torch.tensor([[0.0, 2.0], [2.0, 2.0]]), torch.tensor([[5.0, 0.0]])
    )
    assert by_hand.tolist() == [[5.0, -1.0]]
    torch.testing.assert_close(translate(moved, goal, start), start)


def test_nan_is_one_line(rng):
    own = torch.randn(3, 2, generator=rng)
    with pytest.raises(InputError, match="NaN"):
        unify_prototypes(own, torch.full((2, 2), torch.nan))
