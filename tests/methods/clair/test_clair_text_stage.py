"""CLAIR, stage 1: the loss of the texts, whose weights they follow, and what the map is left with."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from methods.driving import first_images, step, values

from tpsnet.methods import CLAIR, CLAIRConfig
from tpsnet.methods.clair.text_stage import TextStage
from tpsnet.methods.clair.texts import centred

pytestmark = pytest.mark.usefixtures("exact")
NAMES = ("ant", "bee", "cat", "dog")
CONFIG = CLAIRConfig(NAMES, text_lr=0.3, map_penalty=0.1)


@pytest.fixture
def stage(backbone, pair) -> TextStage:
    method = CLAIR(backbone, CONFIG)
    method.prepare(pair)
    stage = method.stages()[0]
    stage.begin_epoch(0)
    return stage


def weigh(stage: TextStage, *confidences: torch.Tensor) -> None:
    stage.targets.found = [
        dataclasses.replace(found, confidence=weight)
        for found, weight in zip(stage.targets.found, confidences, strict=True)
    ]


def test_each_image_picks_its_text_by_its_confidence(stage, pair):
    """Among the texts of its domain that the batch holds, learned and centred."""
    weights = torch.linspace(0, 1, 24), torch.linspace(1, 0, 20)
    weigh(stage, *weights)
    expected = 0.0
    for d, images in enumerate(pair):
        labels, weight = stage.targets.found[d].labels[:12], weights[d][:12]
        present = sorted(set(labels.tolist()))
        prompt = stage.method.texts.prompt
        tokens = stage.method.texts.tokens([NAMES[c] for c in present], images.name)
        logits = stage.targets.vectors[d][:12] @ centred(prompt(tokens)).T / 0.05
        rows = torch.tensor([present.index(c) for c in labels.tolist()])
        costs = F.cross_entropy(logits, rows, reduction="none")
        expected += (weight * costs).sum() / weight.sum()
    batches = first_images(pair)
    found = values(stage.losses(*batches))
    assert found == {"i2t": pytest.approx(float(expected.detach()))}
    weigh(stage, torch.ones(24), torch.ones(20))
    assert abs(values(stage.losses(*batches))["i2t"] - found["i2t"]) > 1e-4


def test_labels_come_from_the_hand_written_texts_alone(stage, pair):
    before = [found.labels for found in stage.targets.found]
    for epoch in (0, 1):
        step(stage, first_images(pair))
        stage.begin_epoch(epoch)
        assert all(torch.equal(f.labels, b) for f, b in zip(stage.targets.found, before, strict=True))


def test_only_the_context_is_trained(stage):
    (group,) = stage.parameters()
    assert group["lr"] == 0.3
    assert [id(p) for p in group["params"]] == [id(stage.method.texts.prompt.context)]


def test_map_and_means_follow_the_learned_context_at_the_end(stage, pair):
    method = stage.method
    before = method.map.clone(), method.text_means.clone()
    step(stage, first_images(pair))
    assert torch.equal(method.map, before[0]) and torch.equal(method.text_means, before[1])
    stage.finish()
    learned = method.texts.cross_domain_map(("line", "shaded"))
    means = torch.stack([method.texts(NAMES, domain).mean(dim=0) for domain in ("line", "shaded")])
    assert torch.equal(method.map, learned) and torch.equal(method.text_means, means)
    assert (learned - before[0]).abs().max() > 1e-4 and (means - before[1]).abs().max() > 1e-4
