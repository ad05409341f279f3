"""TPSNet's pseudo-labels: clusters of one k-means or of two, and prototypes that move by their momentum."""

import pytest
import torch
import torch.nn.functional as F

from tpsnet.methods import TPSNetConfig
from tpsnet.methods.tpsnet.pseudo_labels import PseudoLabels
from tpsnet.neighbours import query_expansion
from tpsnet.targets import kmeans

CONFIG = TPSNetConfig(clusters=3, neighbours=4)


@pytest.fixture
def features(unit) -> list[torch.Tensor]:
    """Of 12 and 9 images; the domains differ by more than noise."""
    rows = [unit(12, 5).float(), unit(9, 5).float()]
    rows[1][:, 0] += 1
    return [F.normalize(x, dim=1) for x in rows]


def slow_means(rows: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    means = [rows[labels == c].mean(dim=0) if (labels == c).any() else torch.zeros(5) for c in range(3)]
    return torch.stack([mean / mean.norm().clamp_min(1e-12) for mean in means])


def test_one_k_means_numbers_the_clusters_of_both_domains(features):
    targets = PseudoLabels(features, CONFIG, seed=2)
    rows = torch.cat(query_expansion(features, 4))
    expected = kmeans(rows, 3, seed=2).assignment
    assert torch.equal(torch.cat([targets.labels(0), targets.labels(1)]), expected)
    assert not torch.equal(expected, kmeans(torch.cat(features), 3, seed=2).assignment)  # neighbours count


def test_each_domain_can_have_a_k_means_of_its_own(features):
    targets = PseudoLabels(features, TPSNetConfig(clusters=3, neighbours=0, joint_clusters=False), seed=2)
    for d, rows in enumerate(features):
        assert torch.equal(targets.labels(d), kmeans(rows, 3, seed=2).assignment)


@pytest.mark.parametrize("joint", [True, False])
def test_prototypes_start_as_the_means_of_their_members(features, joint):
    """Over both domains where these share their clusters."""
    targets = PseudoLabels(features, TPSNetConfig(clusters=3, joint_clusters=joint), seed=2)
    labels = [targets.labels(d) for d in range(2)]
    shared = slow_means(torch.cat(features), torch.cat(labels))
    for d in range(2):
        expected = shared if joint else slow_means(features[d], labels[d])
        torch.testing.assert_close(targets.prototypes[d], expected)


@pytest.mark.parametrize("joint", [True, False])
def test_prototypes_move_by_their_momentum(features, unit, joint):
    """A class without members stays."""
    targets = PseudoLabels(features, TPSNetConfig(clusters=3, joint_clusters=joint), seed=2)
    before, vectors = targets.prototypes.clone(), [unit(12, 5).float(), unit(9, 5).float()]
    for d in range(2):
        targets.labels(d).copy_(torch.arange(len(vectors[d])) % 2)
    targets.move_prototypes(vectors, momentum=0.7)
    labels = [targets.labels(d) for d in range(2)]
    shared = slow_means(torch.cat(vectors), torch.cat(labels))
    for d in range(2):
        means = shared if joint else slow_means(vectors[d], labels[d])
        expected = F.normalize(0.7 * before[d] + 0.3 * means, dim=1)
        torch.testing.assert_close(targets.prototypes[d, :2], expected[:2])
        assert torch.equal(targets.prototypes[d, 2], before[d, 2])
