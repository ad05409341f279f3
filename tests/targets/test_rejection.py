"""Open-set detection: what a query is worth by hand, and blobs whose half has no match."""

import torch
import torch.nn.functional as F

from tpsnet.targets import discrepancy, kmeans, reject_distant, reject_unmerged


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


def test_the_other_methods_rule_is_the_slow_one(rng):
    query, gallery, _ = blobs(rng, each=4, spread=0.1)
    found = reject_distant(query, gallery, 10, seed=3)
    assignment = kmeans(query, 10, seed=3).assignment.tolist()
    for i in range(40):
        inside = max(
            1 - float(query[i2] @ query[j])
            for i2 in range(40)
            for j in range(40)
            if assignment[i2] == assignment[j] == assignment[i]
        )
        nearest = min(1 - float(query[i] @ g) for g in gallery)
        assert (
            abs(float(found.threshold[i]) - inside) < 1e-5 and abs(float(found.distance[i]) - nearest) < 1e-5
        )
        assert bool(found.rejected[i]) == (found.distance[i] > found.threshold[i])
    assert 0 < found.rejected.sum() < 40


def test_one_query(rng):
    """Alone it is its own cluster: the distance rule asks for its like, one merged cluster takes all."""
    query, gallery, _ = blobs(rng)
    assert reject_distant(query[:1], gallery, 1, seed=0).rejected.tolist() == [True]
    assert reject_distant(gallery[:1], gallery, 1, seed=0).threshold.abs().max() < 1e-6
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
