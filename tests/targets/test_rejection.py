"""Open-set detection: what a query is worth by hand, and blobs whose half has no match."""

import math

import pytest
import torch
import torch.nn.functional as F

from tpsnet.errors import InputError
from tpsnet.targets import discrepancy, kmeans, reject_unmerged, reject_unreturned


def blobs(rng, each: int = 12, spread: float = 0.05):
    """Ten directions; the gallery, a little shifted, has the first five."""
    centres = F.normalize(torch.randn(10, 24, generator=rng), dim=1)
    shift = 0.15 * F.normalize(torch.randn(1, 24, generator=rng), dim=1)

    def draw(rows, move):
        noise = spread * torch.randn(len(rows) * each, 24, generator=rng)
        return F.normalize(rows.repeat_interleave(each, 0) + noise + move, dim=1)

    return draw(centres, 0), draw(centres[:5], shift), torch.arange(10).repeat_interleave(each) >= 5


def test_private_blobs_are_rejected_by_their_clusters(rng):
    query, gallery, private = blobs(rng)
    found = reject_unmerged(query, gallery, (10, 5), seed=0)
    assert found.rejected[private].all() and not found.rejected[~private].any()
    assert found.threshold[private].isneginf().all() and found.threshold[~private].isfinite().all()


def test_distance_and_threshold_are_the_slow_ones(rng):
    query, gallery, private = blobs(rng, each=4)
    found = reject_unmerged(query, gallery, (10, 5), seed=0)
    apart = discrepancy(query, gallery)
    of_class = torch.arange(10).repeat_interleave(4)
    for i in (~private).nonzero()[:, 0].tolist():
        same = [apart[a, b] for a in range(40) for b in range(20) if of_class[a] == of_class[i] == b // 4]
        torch.testing.assert_close(found.threshold[i], max(same))
        torch.testing.assert_close(found.distance[i], min(apart[i]))


def test_a_domain_against_itself_rejects_nothing():
    gallery = F.normalize(
        torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.05, 0.0], [0.0, 1.0, 0.0], [0.05, 1.0, 0.0]]), dim=1
    )
    found = reject_unmerged(gallery, gallery, (2, 2), seed=0)
    assert not found.rejected.any() and found.threshold.isfinite().all()
    assert (found.distance <= 1e-6).all()


def slow_return(rows, others, k: int) -> list[float]:
    """Query by query, with sorted lists."""

    def best(row, found, k: int) -> list[int]:
        return sorted(range(len(found)), key=lambda j: -float(row @ found[j]))[:k]

    distances = []
    for i, row in enumerate(rows):
        order = [j for j in best(row, rows, len(rows)) if j != i]
        logs = []
        for there in best(row, others, k):
            for j in best(others[there], rows, k + 1):
                logs.append(math.log(1 + (0 if j == i else 1 + order.index(j))))
        distances.append(sum(logs) / len(logs) / math.log(1 + len(rows)))
    return distances


def test_the_other_methods_rule_is_the_slow_one(unit):
    query, gallery = unit(13, 5), unit(9, 5)
    found = reject_unreturned(query, gallery, neighbours=2, level=0.6)
    expected = torch.tensor(slow_return(query, gallery, 2), dtype=torch.float64)
    limit = torch.tensor(slow_return(gallery, query, 2), dtype=torch.float64).quantile(0.6)
    torch.testing.assert_close(found.distance, expected)
    torch.testing.assert_close(found.threshold, limit.expand(13))
    assert torch.equal(found.rejected, expected > limit) and 0 < found.rejected.sum() < 13


@pytest.mark.parametrize(("each", "spread"), [(12, 0.05), (60, 0.15)])
def test_queries_without_a_match_do_not_come_back(rng, each, spread):
    """Whatever the size of the classes, of which nothing is told."""
    query, gallery, private = blobs(rng, each, spread)
    found = reject_unreturned(query, gallery).rejected
    assert found[private].double().mean() > 0.9 and found[~private].double().mean() < 0.3


def test_where_every_query_has_a_match_few_are_rejected(rng):
    """The gallery has five classes that nobody asks for."""
    images, query, _ = blobs(rng)
    assert reject_unreturned(query, images).rejected.double().mean() < 0.1


def test_the_order_of_images_does_not_matter(unit, rng):
    query, gallery = unit(30, 6), unit(20, 6)
    order = torch.randperm(30, generator=rng)
    found = reject_unreturned(query, gallery)
    shuffled = reject_unreturned(query[order], gallery.flip(0))
    torch.testing.assert_close(shuffled.distance, found.distance[order])
    assert torch.equal(shuffled.rejected, found.rejected[order])


def test_more_neighbours_than_a_domain_has(unit):
    found = reject_unreturned(unit(3, 4), unit(2, 4), neighbours=5)
    assert found.distance.shape == (3,) and bool(found.distance.isfinite().all())
    with pytest.raises(InputError, match="a rejection of 0 queries by 2 gallery images"):
        reject_unreturned(unit(3, 4)[:0], unit(2, 4))


def test_one_query(rng):
    """Alone it is its own cluster, and comes back to itself."""
    query, gallery, _ = blobs(rng)
    assert reject_unreturned(query[:1], gallery).distance.tolist() == [0]
    assert reject_unmerged(query[:1], gallery, (1, 1), seed=0).rejected.tolist() == [False]


def test_one_split_class_costs_the_others_their_match_by_eq_9_alone(rng):
    """Two clusters on one blob lie closer together than any pair across the shift."""
    query, gallery, private = blobs(rng)
    verdicts = {
        merge: reject_unmerged(query, gallery, (11, 5), seed=0, merge=merge).rejected
        for merge in ("local", "global", "none")
    }
    assert verdicts["none"].all() and verdicts["global"].all()
    assert verdicts["local"][private].all() and verdicts["local"][~private].float().mean() < 0.25


def test_clusters_have_half_of_the_say(unit):
    query, gallery = unit(24, 4), unit(18, 4)
    alone, found = reject_unreturned(query, gallery), reject_unreturned(query, gallery, (5, 4), seed=1)
    assignment = kmeans(query, 5, seed=1, restarts=1).assignment
    means = torch.stack([alone.distance[assignment == c].mean() for c in range(5)])
    torch.testing.assert_close(found.distance, (alone.distance + means[assignment]) / 2)
    assert not torch.equal(found.threshold, alone.threshold)
    every_row = reject_unreturned(query, gallery, (24, 18), seed=1)
    torch.testing.assert_close(every_row.distance, alone.distance)
    torch.testing.assert_close(every_row.threshold, alone.threshold)
