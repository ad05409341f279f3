"""Pseudo-labels from texts: votes, the clusters' say, who is kept, corrected and doubted."""

import pytest
import torch

from tpsnet.errors import InputError
from tpsnet.targets import refine_pseudo_labels, text_votes

# Two clusters. In the first, two pictures say class 0 and one wavers towards class 1.
VOTES = torch.tensor(
    [[0.9, 0.1, 0.0], [0.8, 0.2, 0.0], [0.4, 0.6, 0.0], [0.0, 0.1, 0.9], [0.2, 0.3, 0.5]], dtype=torch.float64
)
CLUSTERS = torch.tensor([0, 0, 0, 1, 1])


def test_votes_are_a_softmax_of_cosines(unit):
    images, texts = unit(4, 5), unit(3, 5)
    found = text_votes(images, texts, 0.1)
    e = (images @ texts.T / 0.1).exp()
    torch.testing.assert_close(found, e / e.sum(dim=1, keepdim=True))
    with pytest.raises(InputError, match="empty list of class names"):
        text_votes(images, texts[:0], 0.1)


def test_by_hand():
    """Cluster means (0.7, 0.3, 0) and (0.1, 0.2, 0.7); at λ = 1 the third picture turns to class 0."""
    found = refine_pseudo_labels(VOTES, CLUSTERS, agreement=1.0, quantile=0.0, doubt=0.5)
    assert found.labels.tolist() == [0, 0, 0, 2, 2]
    torch.testing.assert_close(found.confidence, torch.tensor([0.8, 0.75, 0.55, 0.8, 0.6]).double())
    assert found.corrected.tolist() == [False, False, True, False, False]
    assert not found.doubted.any() and torch.equal(found.kept, ~found.corrected)


def test_without_agreement_the_text_decides():
    found = refine_pseudo_labels(VOTES, CLUSTERS, agreement=0.0, quantile=0.0, doubt=0.5)
    assert torch.equal(found.labels, VOTES.argmax(dim=1)) and found.kept.all()
    torch.testing.assert_close(found.confidence, VOTES.max(dim=1).values)


def test_each_class_doubts_its_own_least_sure():
    """The medians of class 0 and class 2 are 0.75 and 0.7: one picture of each lies below."""
    found = refine_pseudo_labels(VOTES, CLUSTERS, agreement=1.0, quantile=0.5, doubt=0.1)
    assert found.doubted.tolist() == [False, False, True, False, True]
    torch.testing.assert_close(found.confidence, torch.tensor([0.8, 0.75, 0.055, 0.8, 0.06]).double())
    assert found.kept.tolist() == [True, True, False, True, False] and not found.corrected.any()


def test_every_picture_is_kept_corrected_or_doubted(rng):
    votes = torch.rand(60, 4, generator=rng).mul(4).softmax(dim=1)
    clusters = torch.randint(0, 7, (60,), generator=rng)
    clusters[clusters == 3] = 6  # an empty cluster
    found = refine_pseudo_labels(votes, clusters, agreement=2.0, quantile=0.3, doubt=0.0)
    assert torch.equal(found.kept.int() + found.corrected + found.doubted, torch.ones(60).int())
    assert found.corrected.any() and found.doubted.any() and found.kept.any()
    assert (found.confidence[found.doubted] == 0).all() and (found.confidence[~found.doubted] > 0).all()
    slow = []
    for i in range(60):
        members = [j for j in range(60) if clusters[j] == clusters[i]]
        vote = (votes[i] + 2.0 * sum(votes[j] for j in members) / len(members)) / 3
        slow.append(int(vote.argmax()))
    assert found.labels.tolist() == slow


def test_an_unsure_class_is_not_doubted_as_a_whole():
    votes = torch.tensor([[0.9, 0.1, 0.0], [0.8, 0.2, 0.0], [0.3, 0.4, 0.3], [0.34, 0.36, 0.3]])
    found = refine_pseudo_labels(votes, torch.arange(4), agreement=1.0, quantile=0.5, doubt=0.5)
    assert found.doubted.tolist() == [False, True, False, True]
