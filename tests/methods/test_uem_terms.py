"""UEM: what the terms of its losses are made of, in the middle of a training."""

import pytest
import torch
import torch.nn.functional as F
from pictures import CLASSES

from tpsnet.backbone import autocast
from tpsnet.losses import (
    domain_adversary,
    semantic_enhancement,
    structure_preservation,
    switchable_matching,
)
from tpsnet.methods import UEM, UEMConfig
from tpsnet.methods.uem import alpha
from tpsnet.targets import kmeans, match
from tpsnet.types import Batch

CONFIG = UEMConfig(clusters=CLASSES, idse_epochs=3, cdsm_epochs=2, batch_size=16)


@pytest.fixture
def uneven(backbone, pair):
    """UEM with three clusters in one domain and four in the other, in the middle of its training."""
    method = UEM(backbone, *pair, CONFIG)
    method.clusters0 = kmeans(method.memory0, 3, seed=1).centres
    method._begin_idse_epoch(2)
    method._begin_cdsm_epoch(1)
    with torch.no_grad():
        for weight in method.frozen.parameters():
            weight += 0.05 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(5))
    return method, [
        Batch(images.pixels[:9].float() / 255, None, torch.arange(9), d) for d, images in enumerate(pair)
    ]


def test_the_terms_of_stage_one(uneven):
    """Each domain against its own memory and its own unified set; the prototypes' terms times α."""
    method, batches = uneven
    expected = {"ince": 0.0, "pnce": 0.0, "sel": 0.0}
    for d, z in enumerate(method._encode(*batches)):
        memory = method._memory(d)[:9]
        prototypes = F.normalize(method.unified[d].prototypes, dim=1)
        own = torch.cdist(method._memory(d)[:9], method._clusters(d)).argmin(dim=1)
        expected["ince"] += F.cross_entropy(z @ memory.T / 0.07, torch.arange(9))
        expected["pnce"] += alpha(2, 3) * F.cross_entropy(z @ prototypes.T / 0.07, own)
        expected["sel"] += alpha(2, 3) * semantic_enhancement(z, prototypes, temperature=0.07)
    found = method._idse_losses(*batches)
    assert {k: v.item() for k, v in found.items()} == pytest.approx(
        {k: v.item() for k, v in expected.items()}
    )


def test_the_terms_of_stage_two(uneven):
    """Structure against the frozen copy, domain by domain; matching against the other domain's rows."""
    method, batches = uneven
    expected = {"spr": 0.0, "sn2m": 0.0}
    for d, z in enumerate(method._encode(*batches)):
        with autocast(method.device):
            before = method.backbone.encode_image(batches[d].view1, method.frozen).float()
        before = F.normalize(before - method.offset, dim=1)
        expected["spr"] += structure_preservation(z, before)
        there = method.unified[1 - d]
        rows, memory = F.normalize(there.prototypes, dim=1), method._memory(1 - d)
        clusters = F.normalize(method._clusters(d), dim=1)
        found = match(z.detach(), clusters, there.other, rows, memory)
        matched = switchable_matching(
            z, rows, memory, found.row, found.neighbour, found.agree, temperature=0.07
        )
        expected["sn2m"] += matched
    found = method._cdsm_losses(*batches)
    assert expected["spr"] > 0
    assert {k: found[k].item() for k in expected} == pytest.approx({k: v.item() for k, v in expected.items()})


def test_the_tower_works_against_the_classifier(uneven):
    method, batches = uneven
    logits = [method.classifier(z)[:, 0] for z in method._encode(*batches)]
    weights = [method.classifier[0].weight, *method.backbone.tower.parameters()]
    straight = torch.autograd.grad(domain_adversary(*logits), weights, allow_unused=True)
    found = torch.autograd.grad(method._cdsm_losses(*batches)["dal"], weights, allow_unused=True)
    torch.testing.assert_close(found[0], straight[0])
    assert any(g is not None and g.abs().max() > 0 for g in straight[1:])
    for there, back in zip(straight[1:], found[1:], strict=True):
        assert there is back is None or torch.allclose(there, -back, atol=1e-6)
