"""UEM, stage 1: the schedule of α, the terms of its losses, and memory banks that follow every step."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from methods.driving import first_images, step, values
from pictures import CLASSES

from tpsnet.losses import semantic_enhancement
from tpsnet.methods import METHODS, UEMConfig, UEMPrintedConfig
from tpsnet.methods.uem.enhancement import EnhancementStage, alpha
from tpsnet.types import Batch

pytestmark = pytest.mark.usefixtures("exact")
SMALL = {"clusters": CLASSES, "idse_epochs": 3, "memory_momentum": 0.9, "temperature": 0.07}
CONFIGS = {"UEM": UEMConfig(**SMALL), "UEMPrinted": UEMPrintedConfig(**SMALL)}
FLOOR = CONFIGS["UEM"].alpha_floor


def made(backbone, pair, form: str = "UEM", **changes) -> EnhancementStage:
    method = METHODS[form].method(backbone, dataclasses.replace(CONFIGS[form], **changes))
    method.prepare(pair)
    return method.stages()[0]


@pytest.fixture(params=CONFIGS)
def stage(request, backbone, pair) -> EnhancementStage:
    """After a step, so that images have left their memories."""
    stage = made(backbone, pair, request.param, lr={"UEM": 0.1, "UEMPrinted": 1e-3}[request.param])
    stage.begin_epoch(0)
    step(stage, first_images(pair))
    return stage


def test_alpha_is_nearly_a_step_at_half_time():
    """The values that the equation has at E/2 − 10, E/2 − 5, E/2, E/2 + 5."""
    found = [alpha(e, 100) for e in (40, 45, 50, 55)]
    assert found == pytest.approx([4.54e-5, 6.69e-3, 0.5, 0.9933], rel=1e-3)


def test_prototypes_that_do_not_count_are_left_alone(backbone, pair):
    """Clustering is saved, and next to nothing is missed; a higher floor misses something."""
    renewed, terms = {}, {}
    for floor in (0.0, FLOOR, 0.9):
        stage = made(backbone, pair, idse_epochs=30, alpha_floor=floor)
        renewed[floor] = ["merged" in stage.begin_epoch(epoch) for epoch in range(30)]
        stage.begin_epoch(5)
        terms[floor] = values(stage.losses(*first_images(pair)))
    assert {floor: shares.count(True) for floor, shares in renewed.items()} == {0.0: 30, 1e-4: 24, 0.9: 12}
    assert all(shares == sorted(shares) for shares in renewed.values())  # the early epochs
    assert terms[1e-4]["pnce"] == terms[1e-4]["sel"] == 0 < terms[0.0]["pnce"] < 1e-3
    assert terms[0.0]["ince"] == pytest.approx(terms[1e-4]["ince"])


def test_the_log_shows_the_schedule(backbone, pair):
    stage = made(backbone, pair)
    for epoch in range(3):
        shares = stage.begin_epoch(epoch)
        assert shares["alpha"] == stage.alpha == alpha(epoch, 3) and 0 < shares["merged"] <= 1


@pytest.mark.parametrize("epoch", [1, 2])
def test_the_terms_of_the_loss(stage, pair, epoch):
    """Each domain against its own memory bank and its own prototypes; these terms times α."""
    stage.begin_epoch(epoch)
    batches, targets, weight = first_images(pair, 9), stage.targets, alpha(epoch, 3)
    expected = {"ince": 0.0, "pnce": 0.0, "sel": 0.0}
    for d, z in enumerate(stage.encode(*batches)):
        bank = targets.bank(d)[:9]
        prototypes = F.normalize(targets.unified[d].prototypes, dim=1)
        own = torch.cdist(bank, targets.clusters(d)).argmin(dim=1)
        expected["ince"] += F.cross_entropy(z @ bank.T / 0.07, torch.arange(9))
        expected["pnce"] += weight * F.cross_entropy(z @ prototypes.T / 0.07, own)
        expected["sel"] += weight * semantic_enhancement(z, prototypes, temperature=0.07)
    assert values(stage.losses(*batches)) == pytest.approx(values(expected))


def test_an_image_that_comes_twice_is_not_its_own_competitor(stage, pair):
    own = torch.tensor([0, 1, 2, 3, 4, 5, 2])
    batches = [Batch(b.view1[own], None, own, b.domain) for b in first_images(pair, 6)]
    expected = sum(
        F.cross_entropy(z @ stage.targets.bank(d)[:6].T / 0.07, own)
        for d, z in enumerate(stage.encode(*batches))
    )
    assert values(stage.losses(*batches))["ince"] == pytest.approx(float(expected.detach()))


def test_without_sel_its_term_is_left_out(backbone, pair):
    stage = made(backbone, pair, sel=False)
    stage.begin_epoch(2)
    found = values(stage.losses(*first_images(pair)))
    assert found["sel"] == 0 and found["pnce"] > 0 and found["ince"] > 0


def test_memory_banks_follow_every_step(stage, pair):
    """Towards the embeddings of the step's views, as they were before the step."""
    before = [stage.targets.bank(d).clone() for d in range(2)]
    batches = first_images(pair, 9)
    with torch.no_grad():
        z = [stage.method.encode(batch) for batch in batches]
    step(stage, batches)
    for d in range(2):
        expected = F.normalize(0.9 * before[d][:9] + 0.1 * z[d], dim=1)
        torch.testing.assert_close(stage.targets.bank(d)[:9], expected)
        assert (expected - before[d][:9]).abs().max() > 1e-4
        assert torch.equal(stage.targets.bank(d)[9:], before[d][9:])


@pytest.mark.parametrize("form", CONFIGS)
def test_only_what_the_method_trains_is_trained(backbone, pair, form):
    """The maps of the views, or the image tower."""
    stage = made(backbone, pair, form, lr=0.5)
    (group,) = stage.parameters()
    method = stage.method
    wanted = method.maps if form == "UEM" else method.backbone.tower.parameters()
    assert group["lr"] == 0.5 and {id(p) for p in group["params"]} == set(map(id, wanted))
    assert stage.views == (0 if form == "UEM" else 1)
