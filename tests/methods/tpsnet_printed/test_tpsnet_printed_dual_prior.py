"""TPSNet as printed, stage 2: who names pseudo-labels, how prototypes move, the terms of the loss."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from methods.driving import first_images, step, values
from pictures import CLASSES

from tpsnet.backbone import embed_all
from tpsnet.methods import TPSNetPrinted, TPSNetPrintedConfig
from tpsnet.methods.tpsnet_printed.dual_prior import DualPriorStage

pytestmark = pytest.mark.usefixtures("exact")
CONFIG = TPSNetPrintedConfig(
    clusters=CLASSES, prototype_momentum=0.7, smoothing=0.3, prototype_weight=0.5, text_weight=2.0
)


def made(backbone, pair, **changes) -> DualPriorStage:
    """Texts and prototypes are chance, so that each of them names the images otherwise."""
    method = TPSNetPrinted(backbone, dataclasses.replace(CONFIG, **changes))
    method.prepare(pair)
    rng = torch.Generator().manual_seed(1)
    for rows in (method.texts, method.targets.prototypes):
        rows.copy_(F.normalize(torch.randn(rows.shape, generator=rng), dim=2))
    return method.stages()[-1]


@pytest.fixture
def stage(backbone, pair) -> DualPriorStage:
    return made(backbone, pair)


def current(stage: DualPriorStage) -> list[torch.Tensor]:
    """Images as the network sees them."""
    return [embed_all(lambda x, d=d: stage.method.eval()(x, d), i) for d, i in enumerate(stage.method.images)]


def nearest(rows: list[torch.Tensor], goals: torch.Tensor) -> list[torch.Tensor]:
    return [(x @ goals[d].T).argmax(dim=1) for d, x in enumerate(rows)]


def labels_of(stage: DualPriorStage) -> list[torch.Tensor]:
    return [stage.targets.labels(d).clone() for d in range(2)]


def check_renewed(stage: DualPriorStage, epoch: int, expected: list[torch.Tensor]) -> None:
    """Labels become the expected ones, which were not so before, and the log tells the share that changed."""
    before = labels_of(stage)
    changed = [float((a != b).double().mean()) for a, b in zip(before, expected, strict=True)]
    assert min(changed) > 0
    assert stage.begin_epoch(epoch) == {"relabelled": pytest.approx(sum(changed) / 2)}
    assert all(torch.equal(a, b) for a, b in zip(labels_of(stage), expected, strict=True))


def test_at_first_the_prompts_name_the_images(stage):
    """By the features that the prompts were learned on."""
    check_renewed(stage, 0, nearest(stage.targets.features, stage.method.texts))


@pytest.mark.parametrize("epoch", [1, 4])
def test_later_the_nearest_prototypes_name_them(stage, pair, epoch):
    """By the embeddings as they are then."""
    step(stage, first_images(pair))
    check_renewed(stage, epoch, nearest(current(stage), stage.targets.prototypes))


@pytest.mark.parametrize("epoch", [0, 1])
def test_prototypes_keep_their_momentum(stage, epoch):
    """They move towards the means of the images of their own domain that the renewed labels give them."""
    before, rows = stage.targets.prototypes.clone(), current(stage)
    stage.begin_epoch(epoch)
    for d in range(2):
        for c in range(CLASSES):
            mine, start = rows[d][stage.targets.labels(d) == c], before[d, c]
            mean = F.normalize(mine.sum(dim=0), dim=0)
            expected = F.normalize(0.7 * start + 0.3 * mean, dim=0) if len(mine) else start
            torch.testing.assert_close(stage.targets.prototypes[d, c], expected)


def expected_terms(stage: DualPriorStage, views: list[torch.Tensor]) -> dict[str, float]:
    """Each domain's views against its own prototypes and its own texts."""
    terms = {"pce": 0.0, "i2tce": 0.0}
    for d, view in enumerate(views):
        z, labels = stage.method(view, d), stage.targets.labels(d)[: len(view)]
        prototypes, texts = stage.targets.prototypes[d], stage.method.texts[d]
        terms["pce"] += F.cross_entropy(z @ prototypes.T / 0.2, labels)
        terms["i2tce"] += F.cross_entropy(z @ texts.T / 0.1, labels, label_smoothing=0.3)
    return values(terms)


def test_the_terms_of_the_loss(stage, pair):
    """Of the augmented view; the smoothing of the texts shows."""
    batches = first_images(pair)
    views = [1 - b.view1 for b in batches]
    seen = [dataclasses.replace(b, view1=v) for b, v in zip(batches, views, strict=True)]
    stage.method.eval()
    expected = expected_terms(stage, views)
    assert values(stage.losses(*seen)) == pytest.approx(expected)
    assert values(stage.losses(*batches)) != pytest.approx(expected)
    assert stage.weights == {"pce": 0.5, "i2tce": 2.0}


def test_tower_and_new_modules_are_trained_at_their_rates_and_texts_are_not(backbone, pair):
    stage = made(backbone, pair, encoder_lr=0.5, module_lr=0.25)
    method, before = stage.method, stage.method.texts.clone()
    tower, new = stage.parameters()
    assert (tower["lr"], new["lr"]) == (0.5, 0.25)
    assert {id(p) for p in tower["params"]} == {id(p) for p in method.backbone.tower.parameters()}
    parts = [*method.fusion.parameters(), *method.phase.parameters(), *method.synergy.parameters()]
    assert {id(p) for p in new["params"]} == {id(p) for p in parts}
    stage.begin_epoch(0)
    step(stage, first_images(pair))
    assert torch.equal(method.texts, before)
