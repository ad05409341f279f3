"""UEM on frozen views: what its memories are, what is added, which queries are rejected, any backbone."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from pictures import CLASSES

from tpsnet.methods import UEM, UEMConfig
from tpsnet.targets import reject_unreturned
from tpsnet.training import fit

pytestmark = pytest.mark.usefixtures("exact")
CONFIG = UEMConfig(clusters=CLASSES, idse_epochs=2, cdsm_epochs=2, batch_size=16, lr=0.05)


def prepared(backbone, pair, **changes) -> UEM:
    method = UEM(backbone, dataclasses.replace(CONFIG, **changes))
    method.prepare(pair)
    return method


@pytest.fixture(scope="module")
def trained(backbone, pair, exact) -> UEM:
    method = UEM(backbone, CONFIG)
    fit(method, pair)
    return method


def test_memories_are_the_views_through_the_maps_as_they_are(backbone, pair):
    """Which a method that is trained on no longer has at zero."""
    method = UEM(backbone, CONFIG)
    with torch.no_grad():
        for w in method.maps:
            w.fill_(0.1)
    method.prepare(pair)
    for d in range(2):
        everyone = torch.arange(len(pair[d]))
        torch.testing.assert_close(method.targets.bank(d), method(d, everyone))


def test_the_untrained_vector_is_added_by_its_weight(backbone, pair, trained):
    untrained = prepared(backbone, pair, start_weight=0.0).embed(pair[1])
    found = {}
    for weight in (0.0, 0.5, 1.0):
        trained.cfg = dataclasses.replace(CONFIG, start_weight=weight)
        found[weight] = trained.embed(pair[1])
    assert (found[0.0] * untrained).sum(dim=1).min() < 0.999
    for weight in (0.5, 1.0):
        expected = F.normalize(found[0.0] + weight * untrained, dim=1)
        torch.testing.assert_close(found[weight], expected, atol=1e-5, rtol=1e-4)


def test_queries_are_rejected_by_where_they_and_their_clusters_come_back(trained, unit):
    """In as many clusters as training had."""
    query, gallery = unit(30, 4).float(), unit(25, 4).float()
    found = trained.reject(query, gallery, seed=1)
    expected = reject_unreturned(query, gallery, (CLASSES, CLASSES), seed=1)
    torch.testing.assert_close(found.distance, expected.distance)
    assert not torch.equal(found.distance, reject_unreturned(query, gallery).distance)


def test_views_of_moco_are_mapped_like_those_of_a_clip(moco, pair):
    method = prepared(moco, pair)
    before = method.embed(pair[0])
    fit(method, pair)
    assert before.shape == (24, 18) and (method.embed(pair[0]) - before).abs().max() > 1e-3
