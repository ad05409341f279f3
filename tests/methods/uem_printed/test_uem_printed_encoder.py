"""UEM as printed: what an embedding is made of, and which queries are rejected."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from pictures import CLASSES

from tpsnet.backbone import embed_all
from tpsnet.methods import UEMPrinted, UEMPrintedConfig
from tpsnet.targets import reject_unmerged
from tpsnet.training import fit

pytestmark = pytest.mark.usefixtures("exact")
CONFIG = UEMPrintedConfig(clusters=CLASSES, idse_epochs=2, cdsm_epochs=2, batch_size=16)


def prepared(backbone, pair, **changes) -> UEMPrinted:
    method = UEMPrinted(backbone, dataclasses.replace(CONFIG, **changes))
    method.prepare(pair)
    return method


@pytest.fixture(scope="module")
def trained(backbone, pair, exact) -> UEMPrinted:
    """At a high rate, so that it leaves its start behind."""
    method = UEMPrinted(backbone, dataclasses.replace(CONFIG, lr=1e-3))
    fit(method, pair)
    return method


def test_it_starts_less_the_mean_of_both_domains_and_the_gap_stays(backbone, pair, trained):
    vectors = [embed_all(backbone.encode_image, images) for images in pair]
    # 24 and 20 images, but either domain counts alike
    offset = (vectors[0].mean(dim=0) + vectors[1].mean(dim=0)) / 2
    method = prepared(backbone, pair)
    for images, plain in zip(pair, vectors, strict=True):
        torch.testing.assert_close(method.embed(images), F.normalize(plain - offset, dim=1))
    torch.testing.assert_close(trained.offset, offset)


def test_the_untrained_vector_is_added_by_its_weight(backbone, pair, trained):
    found, untrained = {}, prepared(backbone, pair).embed(pair[1])
    for weight in (0.0, 0.5, 1.0):
        trained.cfg = dataclasses.replace(trained.cfg, start_weight=weight)
        found[weight] = trained.embed(pair[1])
    assert (found[0.0] * untrained).sum(dim=1).min() < 0.999
    for weight in (0.5, 1.0):
        expected = F.normalize(found[0.0] + weight * untrained, dim=1)
        torch.testing.assert_close(found[weight], expected, atol=1e-5, rtol=1e-4)


def test_another_tower_takes_the_place_of_the_trained_one(pair, trained, backbone):
    images = pair[0].pixels.float() / 255
    with torch.no_grad():
        expected = F.normalize(backbone.encode_image(images) - trained.offset, dim=1)
        torch.testing.assert_close(trained(images, backbone.tower), expected)
        assert (trained(images) - expected).abs().max() > 1e-2


@pytest.mark.parametrize("merge", ["none", "local", "global"])
def test_rejection_counts_the_clusters_of_training_and_always_merges(backbone, pair, merge, unit):
    """Also for a UEM that was trained without merging, for which every query would be rejected."""
    method = prepared(backbone, pair, merge=merge)
    query, gallery = (method.embed(images) for images in pair)
    rule = "global" if merge == "global" else "local"
    for rows in ((query, gallery), (unit(30, 4).float(), unit(25, 4).float())):
        found = method.reject(*rows, seed=1)
        expected = reject_unmerged(*rows, (CLASSES, CLASSES), seed=1, merge=rule)
        assert torch.equal(found.rejected, expected.rejected)
        assert torch.equal(found.threshold, expected.threshold)
    assert not method.reject(query, gallery, seed=1).rejected.all()


def test_a_resnet_of_moco_is_trained_like_a_clip(moco, pair):
    method = UEMPrinted(moco, CONFIG)
    method.prepare(pair)
    before = method.embed(pair[0])
    fit(method, pair)
    assert before.shape == (24, 6) and (method.embed(pair[0]) - before).abs().max() > 1e-5
