"""UEM on frozen views: where it starts, what is added, how clusters are counted, any backbone."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from pictures import CLASSES

from tpsnet.errors import InputError
from tpsnet.methods import UEM, UEMConfig
from tpsnet.targets import elbow, elbow_grid, reject_unreturned
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


def test_the_elbow_counts_clusters_where_the_config_does_not(backbone, pair):
    method = prepared(backbone, pair, clusters=None)
    banks = [method.targets.bank(d) for d in range(2)]
    counted = [elbow(bank, elbow_grid(len(bank)), seed=0).k for bank in banks]
    assert method.n_clusters.tolist() == counted
    assert [len(method.targets.clusters(d)) for d in range(2)] == counted
    assert prepared(backbone, pair, clusters=3).n_clusters.tolist() == [3, 3]


def test_one_cluster_and_one_image_are_enough(backbone, pair):
    one = pair[0].subset([0])
    for domains, clusters in (((one, pair[1]), None), (pair, 1)):
        method = UEM(backbone, dataclasses.replace(CONFIG, clusters=clusters), seed=1)
        rows = fit(method, domains)
        assert all(torch.isfinite(torch.tensor(row["losses"]["loss"])) for row in rows)
        assert method.embed(domains[0]).isfinite().all()


def test_more_clusters_than_images_is_one_line(backbone, pair):
    with pytest.raises(
        InputError, match=r"^domain 'shaded' has 20 images for 21 clusters; ask for fewer clus"
    ):
        prepared(backbone, pair, clusters=21)


def test_queries_are_rejected_by_where_they_and_their_clusters_come_back(trained, unit):
    """In as many clusters as training had."""
    query, gallery = unit(30, 4).float(), unit(25, 4).float()
    found = trained.reject(query, gallery, seed=1)
    expected = reject_unreturned(query, gallery, (CLASSES, CLASSES), seed=1)
    torch.testing.assert_close(found.distance, expected.distance)
    assert not torch.equal(found.distance, reject_unreturned(query, gallery).distance)


def test_fewer_images_than_clusters_are_fewer_clusters(trained, unit):
    found = trained.reject(unit(3, 4).float(), unit(2, 4).float(), seed=0)
    assert found.distance.shape == (3,) and found.distance.isfinite().all()


def test_views_of_moco_are_mapped_like_those_of_a_clip(moco, pair):
    method = prepared(moco, pair)
    before = method.embed(pair[0])
    fit(method, pair)
    assert before.shape == (24, 18) and (method.embed(pair[0]) - before).abs().max() > 1e-3
