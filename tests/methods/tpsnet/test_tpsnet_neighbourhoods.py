"""What TPSNet learns from: neighbours of all views, clusters, and the draw."""

import pytest
import torch
import torch.nn.functional as F

from tpsnet.methods.tpsnet import neighbourhoods
from tpsnet.methods.tpsnet.neighbourhoods import Neighbourhoods
from tpsnet.targets import diffused, kmeans, neighbours_in, return_distance, side_by_side

WEIGHTS = torch.tensor([0.5, 0.3, 0.2])


@pytest.fixture
def views(unit) -> list[list[torch.Tensor]]:
    """24 and 18 images of three views that resemble one another more or less."""
    whole = unit(42, 6).float()
    seen = [F.normalize(whole + size * unit(42, 6).float(), dim=1) for size in (0.2, 0.5, 1.0)]
    return [[z[:24] for z in seen], [z[24:] for z in seen]]


@pytest.fixture
def targets(views) -> Neighbourhoods:
    return Neighbourhoods(views, WEIGHTS, clusters=3, neighbours=2, share=0.8, seed=5)


def test_neighbours_and_clusters_are_those_of_all_views_after_diffusion(targets, views):
    spread = diffused([side_by_side(rows, WEIGHTS) for rows in views], 2, 0.8)
    expected = neighbours_in(spread, 8)  # as many as a class of the larger domain has
    for a in range(2):
        for b in range(2):
            assert torch.equal(targets.near[a][b], expected[a][b])
    labels = torch.cat([targets.labels(0), targets.labels(1)])
    assert torch.equal(labels, kmeans(torch.cat(spread), 3, seed=5).assignment)
    assert targets.features[1] is views[1][0]


def test_no_more_neighbours_are_known_than_memory_should_hold(views, monkeypatch):
    whole = Neighbourhoods(views, WEIGHTS, clusters=1, neighbours=2, share=0.8, seed=5)
    monkeypatch.setattr(neighbourhoods, "MOST", 4)
    fewer = Neighbourhoods(views, WEIGHTS, clusters=1, neighbours=2, share=0.8, seed=5)
    for d in range(2):
        assert whole.near[d][1 - d].shape[1] == len(views[1 - d][0])
        assert torch.equal(fewer.near[d][1 - d], whole.near[d][1 - d][:, :4])


def test_a_neighbour_of_each_image_is_drawn_and_those_of_its_class_are_known(targets):
    index, rng = torch.tensor([3, 0, 7, 3, 20, 11]), torch.Generator().manual_seed(1)
    near, seen, others = targets.near[0][1][index].tolist(), set(), 0
    for _ in range(20):
        drawn, related = targets.draw(index, 0, 1, rng)
        seen |= set(enumerate(drawn.tolist()))
        for i, mine in enumerate(near):
            assert drawn[i] in mine[:2]
            assert related[i].tolist() == [d in mine for d in drawn.tolist()]
            others += sum(d in mine[2:] for d in drawn.tolist())
    assert seen == {(i, n) for i, mine in enumerate(near) for n in mine[:2]}  # each of them, in time
    assert others > 0


def test_across_the_domains_only_those_count_that_come_back(targets, views):
    """No farther from themselves than four of five images of the other domain."""
    whole = [side_by_side(rows, WEIGHTS) for rows in views]
    far = [return_distance(whole[0], whole[1], 2), return_distance(whole[1], whole[0], 2)]
    index = torch.tensor([5, 0, 17, 9, 3, 16, 2])
    for d in range(2):
        expected = far[d] <= far[1 - d].quantile(0.8)
        assert 0 < expected.sum() < len(expected)
        assert torch.equal(targets.trusted(index, d, 1 - d), expected[index].float())
        assert torch.equal(targets.trusted(index, d, d), torch.ones(7))
