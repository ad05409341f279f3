"""What both forms of UEM share: how clusters are counted, and how few images and clusters are enough."""

import dataclasses

import pytest
import torch
from pictures import CLASSES

from tpsnet.errors import InputError
from tpsnet.methods import METHODS, UEMConfig, UEMPrintedConfig
from tpsnet.methods.uem.unifying import Unifying
from tpsnet.targets import elbow, elbow_grid
from tpsnet.training import fit

pytestmark = pytest.mark.usefixtures("exact")
SMALL = {"clusters": CLASSES, "idse_epochs": 1, "cdsm_epochs": 1, "batch_size": 16}
CONFIGS = {"UEM": UEMConfig(**SMALL), "UEMPrinted": UEMPrintedConfig(**SMALL)}


@pytest.fixture(params=CONFIGS)
def form(request) -> str:
    return request.param


def made(form: str, backbone, seed: int = 0, **changes) -> Unifying:
    return METHODS[form].method(backbone, dataclasses.replace(CONFIGS[form], **changes), seed)


def prepared(form: str, backbone, pair, **changes) -> Unifying:
    method = made(form, backbone, **changes)
    method.prepare(pair)
    return method


def test_the_elbow_counts_clusters_where_the_config_does_not(form, backbone, pair):
    method = prepared(form, backbone, pair, clusters=None)
    banks = [method.targets.bank(d) for d in range(2)]
    counted = [elbow(bank, elbow_grid(len(bank)), seed=0).k for bank in banks]
    assert method.n_clusters.tolist() == counted
    assert [len(method.targets.clusters(d)) for d in range(2)] == counted
    assert prepared(form, backbone, pair, clusters=3).n_clusters.tolist() == [3, 3]


def test_one_cluster_and_one_image_are_enough(form, backbone, pair):
    one = pair[0].subset([0])
    for domains, clusters in (((one, pair[1]), None), (pair, 1)):
        method = made(form, backbone, seed=1, clusters=clusters)
        rows = fit(method, domains)
        assert all(torch.isfinite(torch.tensor(row["losses"]["loss"])) for row in rows)
        assert method.embed(domains[0]).isfinite().all()


def test_more_clusters_than_images_is_one_line(form, backbone, pair):
    with pytest.raises(
        InputError, match=r"^domain 'shaded' has 20 images for 21 clusters; ask for fewer clus"
    ):
        prepared(form, backbone, pair, clusters=21)


def test_fewer_queries_than_clusters_are_fewer_clusters(form, backbone, pair, unit):
    found = prepared(form, backbone, pair).reject(unit(3, 4).float(), unit(2, 4).float(), seed=0)
    assert found.distance.shape == (3,) and found.distance.isfinite().all()
