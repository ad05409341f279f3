"""Pseudo-labels of TPSNet as printed: each domain by itself, and prototypes that move by their momentum."""

import pytest
import torch
import torch.nn.functional as F

from tpsnet.methods.tpsnet_printed.pseudo_labels import PseudoLabels
from tpsnet.targets import kmeans


@pytest.fixture
def features(unit) -> list[torch.Tensor]:
    """Of 12 and 9 images."""
    return [unit(12, 5).float(), unit(9, 5).float()]


def slow_means(rows: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    means = [rows[labels == c].mean(dim=0) if (labels == c).any() else torch.zeros(5) for c in range(3)]
    return torch.stack([mean / mean.norm().clamp_min(1e-12) for mean in means])


def test_each_domain_has_a_k_means_and_prototypes_of_its_own(features):
    targets = PseudoLabels(features, 3, seed=2)
    for d, rows in enumerate(features):
        assert torch.equal(targets.labels(d), kmeans(rows, 3, seed=2).assignment)
        torch.testing.assert_close(targets.prototypes[d], slow_means(rows, targets.labels(d)))


def test_prototypes_move_by_their_momentum(features, unit):
    """A class without members stays."""
    targets = PseudoLabels(features, 3, seed=2)
    before, vectors = targets.prototypes.clone(), [unit(12, 5).float(), unit(9, 5).float()]
    for d in range(2):
        targets.labels(d).copy_(torch.arange(len(vectors[d])) % 2)
    targets.move_prototypes(vectors, momentum=0.7)
    for d in range(2):
        expected = F.normalize(0.7 * before[d] + 0.3 * slow_means(vectors[d], targets.labels(d)), dim=1)
        torch.testing.assert_close(targets.prototypes[d, :2], expected[:2])
        assert torch.equal(targets.prototypes[d, 2], before[d, 2])
