"""UEM, stage 2: against the weights that stage 1 leaves, against the classifier, and across the domains."""

import copy
import dataclasses

import pytest
import torch
import torch.nn.functional as F
from methods.driving import first_images, step, values
from pictures import CLASSES

from tpsnet.losses import (
    domain_adversary,
    nearest_neighbour_contrast,
    structure_preservation,
    switchable_matching,
)
from tpsnet.methods import METHODS, UEMConfig, UEMPrintedConfig
from tpsnet.methods.uem.alignment import AlignmentStage
from tpsnet.methods.uem.unifying import Unifying
from tpsnet.targets import kmeans, nearest_across

pytestmark = pytest.mark.usefixtures("exact")
SMALL = {"clusters": CLASSES, "memory_momentum": 0.9, "temperature": 0.07}
CONFIGS = {"UEM": UEMConfig(**SMALL, lr=0.1), "UEMPrinted": UEMPrintedConfig(**SMALL, lr=1e-3)}


def prepared(backbone, pair, form: str, **changes) -> Unifying:
    method = METHODS[form].method(backbone, dataclasses.replace(CONFIGS[form], **changes))
    method.prepare(pair)
    return method


def made(backbone, pair, form: str = "UEM", **changes) -> AlignmentStage:
    """In the middle of stage 2: the weights have moved, and the domains have three and four clusters."""
    method = prepared(backbone, pair, form, **changes)
    targets = method.targets
    targets.clusters0 = kmeans(targets.bank(0), 3, seed=1).centres
    stage = method.stages()[1]
    stage.begin_epoch(0)
    for _ in range(3):
        step(stage, first_images(pair))
    stage.begin_epoch(1)
    return stage


@pytest.fixture(scope="module", params=CONFIGS)
def stage(request, backbone, pair, exact) -> AlignmentStage:
    return made(backbone, pair, request.param)


def terms_by_hand(stage: AlignmentStage, batches) -> dict[str, float]:
    """Structure against the copy, domain by domain; matching against the other domain's rows."""
    method, targets = stage.method, stage.targets
    expected = {"spr": 0.0, "sn2m": 0.0, "nearest": 0.0}
    for d, z in enumerate(stage.encode(*batches)):
        expected["spr"] += structure_preservation(z, method.encode(batches[d], targets.stage_one))
        there = targets.unified[1 - d]
        rows, bank = F.normalize(there.prototypes, dim=1), targets.bank(1 - d)
        clusters = F.normalize(targets.clusters(d), dim=1)
        found = nearest_across(z.detach(), clusters, there.other, rows, bank)
        matched = (found.row, found.neighbour, found.agree)
        expected["sn2m"] += switchable_matching(z, rows, bank, *matched, temperature=0.07)
        expected["nearest"] += nearest_neighbour_contrast(z, bank, found.neighbour, temperature=0.07)
    return values(expected)


def test_the_terms_of_the_loss(stage, pair):
    batches = first_images(pair, 9)
    expected, found = terms_by_hand(stage, batches), values(stage.losses(*batches))
    assert expected["spr"] > 1e-4  # the embeddings have left stage 1 behind
    assert {name: found[name] for name in ("spr", "sn2m")} == pytest.approx(
        {name: expected[name] for name in ("spr", "sn2m")}
    )


@pytest.mark.parametrize("switch", ["spda", "sn2m"])
def test_each_switch_takes_away_its_part_only(stage, pair, switch):
    batches = first_images(pair, 9)
    whole, by_hand = values(stage.losses(*batches)), terms_by_hand(stage, batches)
    less = AlignmentStage(stage.method)
    less.cfg = dataclasses.replace(stage.cfg, **{switch: False})
    instead = {"spda": {"spr": 0.0}, "sn2m": {"sn2m": by_hand["nearest"]}}[switch]
    assert values(less.losses(*batches)) == pytest.approx(whole | instead)
    assert abs(by_hand["nearest"] - by_hand["sn2m"]) > 1e-3


def test_what_is_trained_works_against_the_classifier(stage, pair):
    batches, method = first_images(pair, 9), stage.method
    logits = [stage.targets.classifier(z)[:, 0] for z in stage.encode(*batches)]
    weights = [stage.targets.classifier[0].weight, *method.trained.parameters()]
    straight = torch.autograd.grad(domain_adversary(*logits), weights, allow_unused=True)
    found = torch.autograd.grad(stage.losses(*batches)["dal"], weights, allow_unused=True)
    torch.testing.assert_close(found[0], straight[0])
    assert any(g is not None and g.abs().max() > 0 for g in straight[1:])
    for there, back in zip(straight[1:], found[1:], strict=True):
        assert there is back is None or torch.allclose(there, -back, atol=1e-6)


def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    return all(torch.equal(v, other.state_dict()[k]) for k, v in one.state_dict().items())


@pytest.mark.parametrize("form", CONFIGS)
def test_the_weights_that_stage_one_leaves_are_kept(backbone, pair, form):
    """Copied when stage 2 begins, and not again."""
    method = prepared(backbone, pair, form)
    start = copy.deepcopy(method.trained)
    stage_one, stage_two = method.stages()
    stage_one.begin_epoch(0)
    step(stage_one, first_images(pair))
    kept, trained = method.targets.stage_one, method.trained
    assert same(kept, start) and not same(kept, trained)
    stage_two.begin_epoch(0)
    assert same(kept, trained)
    step(stage_two, first_images(pair))
    stage_two.begin_epoch(1)
    assert not same(kept, trained) and not same(kept, start)


def test_prototypes_are_renewed_in_every_epoch(stage):
    for epoch in (1, 2):
        stage.targets.unified, stage.targets.labels = [], []
        assert 0 <= stage.begin_epoch(epoch)["merged"] <= 1
        assert len(stage.targets.unified) == len(stage.targets.labels) == 2


@pytest.mark.parametrize("form", CONFIGS)
def test_weights_and_classifier_are_trained_at_their_rates(backbone, pair, form):
    method = prepared(backbone, pair, form, lr=0.5, classifier_lr=0.25)
    trained, classifier = method.stages()[1].parameters()
    assert (trained["lr"], classifier["lr"]) == (0.5, 0.25)
    assert {id(p) for p in trained["params"]} == {id(p) for p in method.trained.parameters()}
    assert {id(p) for p in classifier["params"]} == {id(p) for p in method.targets.classifier.parameters()}
