"""The majority of clusters by hand and against a slow count."""

from collections import Counter

import pytest
import torch

from tpsnet.evaluation import of_majority, purity


def slow_majority(clusters, labels):
    pairs = list(zip(clusters, labels, strict=True))
    return [Counter(b for a, b in pairs if a == c).most_common(1)[0][0] for c in clusters]


def test_the_majority_of_a_cluster_is_counted_by_hand():
    clusters = torch.tensor([0, 0, 0, 2, 2, 2])
    labels = torch.tensor([1, 1, 4, 3, 3, 3])
    assert of_majority(clusters, labels).tolist() == [True, True, False, True, True, True]
    assert purity(clusters, labels) == pytest.approx(5 / 6)


def test_the_majority_is_that_of_a_slow_count(rng):
    clusters, labels = (torch.randint(0, n, (200,), generator=rng) for n in (4, 3))
    slow = slow_majority(clusters.tolist(), labels.tolist())
    expected = [a == b for a, b in zip(slow, labels.tolist(), strict=True)]
    assert of_majority(clusters, labels).tolist() == expected
    assert purity(clusters, labels) == pytest.approx(sum(expected) / 200)
