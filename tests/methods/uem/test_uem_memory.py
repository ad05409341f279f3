"""UEM's memory banks: how rows move, how clusters go on, and which row each cluster went to."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from pictures import CLASSES

from tpsnet.methods import UEM, UEMConfig
from tpsnet.methods.uem.memory import MemoryBanks
from tpsnet.targets import kmeans, translate

pytestmark = pytest.mark.usefixtures("exact")
CONFIG = UEMConfig(clusters=CLASSES, memory_momentum=0.9)


@pytest.fixture
def method(backbone, pair) -> UEM:
    method = UEM(backbone, CONFIG)
    method.prepare(pair)
    return method


@pytest.fixture
def targets(method) -> MemoryBanks:
    return method.targets


def test_banks_start_as_the_embeddings_and_clusters_as_their_k_means(method, targets, pair):
    for d, images in enumerate(pair):
        torch.testing.assert_close(targets.bank(d), method.embed(images))
        assert torch.equal(targets.clusters(d), kmeans(targets.bank(d), CLASSES, seed=0).centres)
    assert all(torch.equal(kept, w) for kept, w in zip(targets.stage_one, method.maps, strict=True))


def test_rows_move_by_their_share_and_others_stay(targets):
    before = [targets.bank(d).clone() for d in range(2)]
    rng = torch.Generator().manual_seed(1)
    z = [F.normalize(torch.randn(2, rows.shape[1], generator=rng), dim=1) for rows in before]
    index = torch.tensor([3, 5])
    targets.update([(0, index, z[0]), (1, index + 2, z[1])])
    for d in range(2):
        moved = F.normalize(0.9 * before[d][index + 2 * d] + 0.1 * z[d], dim=1)
        torch.testing.assert_close(targets.bank(d)[index + 2 * d], moved)
        rest = [i for i in range(len(before[d])) if i not in (index + 2 * d).tolist()]
        assert torch.equal(targets.bank(d)[rest], before[d][rest])


def test_clusters_go_on_from_the_last_ones(targets):
    """Centres that lie elsewhere lead to other clusters than a new k-means."""
    for d in range(2):
        targets.clusters(d).copy_(targets.bank(d)[[0, 4, 8, 12]])  # four images of one class
    before = [targets.clusters(d).clone() for d in range(2)]
    targets.renew_prototypes()
    for d in range(2):
        expected = kmeans(targets.bank(d), CLASSES, seed=0, init=before[d])
        assert torch.equal(targets.clusters(d), expected.centres)
        assert torch.equal(targets.labels[d], expected.assignment)
        assert not torch.equal(targets.labels[d], kmeans(targets.bank(d), CLASSES, seed=0).assignment)


def test_every_cluster_has_its_row_in_both_sets(targets):
    share = targets.renew_prototypes()
    banks = (targets.bank(0), targets.bank(1))
    assert share == targets.unified[0].merged.sum() / CLASSES > 0
    for d in range(2):
        unified, there = targets.unified[d], 1 - d
        moved = translate(targets.clusters(there), banks[there], banks[d])
        partner = {row: c for c, row in enumerate(unified.other.tolist())}
        for c, centre in enumerate(targets.clusters(d)):
            mine = (centre + moved[partner[c]]) / 2 if unified.merged[c] else centre
            torch.testing.assert_close(unified.prototypes[c], mine)
        for c, row in enumerate(unified.other.tolist()):
            if not unified.merged[row]:
                torch.testing.assert_close(unified.prototypes[row], moved[c])
        nearest = torch.cdist(banks[d], targets.clusters(d)).argmin(dim=1)
        assert torch.equal(targets.labels[d], nearest)
        torch.testing.assert_close(targets.prototypes(d), F.normalize(unified.prototypes, dim=1))


def test_without_merging_no_row_stands_for_two_clusters(backbone, pair):
    method = UEM(backbone, dataclasses.replace(CONFIG, merge="none"))
    method.prepare(pair)
    assert method.targets.renew_prototypes() == 0.0
    assert not any(unified.merged.any() for unified in method.targets.unified)


def test_the_copy_of_stage_one_is_frozen_and_never_in_training_mode(method, targets):
    method.train()
    assert targets.classifier.training and not targets.stage_one.training
    assert not any(p.requires_grad for p in targets.stage_one.parameters())
