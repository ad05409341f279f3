"""CLAIR, stage 2: three contrasts weighed by confidence, and prototypes that follow every step."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from methods.driving import first_images, step, values

from tpsnet.losses import inter_domain, inter_instance
from tpsnet.methods import CLAIR, CLAIRConfig
from tpsnet.methods.clair.image_stage import ImageStage
from tpsnet.methods.clair.texts import centred

pytestmark = pytest.mark.usefixtures("exact")
NAMES = ("ant", "bee", "cat", "dog")
CONFIG = CLAIRConfig(NAMES, temperature=0.3, prototype_momentum=0.7)


def made(backbone, pair, **changes) -> ImageStage:
    method = CLAIR(backbone, dataclasses.replace(CONFIG, **changes))
    method.prepare(pair)
    return method.stages()[-1]


@pytest.fixture
def stage(backbone, pair) -> ImageStage:
    stage = made(backbone, pair)
    stage.begin_epoch(0)
    return stage


def weigh(stage: ImageStage, weights: torch.Tensor) -> None:
    stage.targets.found = [
        dataclasses.replace(found, confidence=weights[: len(found.labels)]) for found in stage.targets.found
    ]


def test_the_three_contrasts(stage, pair):
    """Summed over the domains, each image by its confidence."""
    weigh(stage, torch.linspace(0.1, 1, 24))
    batches, sides, expected = first_images(pair), [], {"instance": 0.0, "cluster": 0.0, "domain": 0.0}
    for batch in batches:
        found = stage.targets.found[batch.domain]
        sides.append((stage.method(batch.domain, batch.index), found.labels[:12], found.confidence[:12]))
    for (z, labels, weight), (other, other_labels, _) in (sides, sides[::-1]):
        costs = F.cross_entropy(z @ stage.targets.prototypes.T / 0.3, labels, reduction="none")
        expected["cluster"] += (weight * costs).sum() / weight.sum()
        expected["instance"] += inter_instance(z, labels, weight, temperature=0.3)
        expected["domain"] += inter_domain(z, labels, weight, other, other_labels, temperature=0.3)
    assert values(stage.losses(*batches)) == pytest.approx(values(expected))


@pytest.mark.parametrize("term", ["instance", "cluster", "domain"])
def test_every_contrast_weighs_images_by_their_confidence(stage, pair, term):
    """Equal confidences are plain contrast; other ones change it."""
    found = []
    for weights in (torch.ones(24), torch.full((24,), 0.3), torch.linspace(0, 1, 24)):
        weigh(stage, weights)
        found.append(values(stage.losses(*first_images(pair)))[term])
    assert found[0] == pytest.approx(found[1], rel=1e-5) and abs(found[0] - found[2]) > 1e-4


def test_prototypes_start_as_weighted_means_over_both_domains(stage, pair):
    """Of the pseudo-classes, each image by its confidence; through the maps as they are."""
    with torch.no_grad():
        for w in stage.method.maps:
            w.fill_(0.1)
    stage.begin_epoch(0)
    labels = torch.cat([found.labels for found in stage.targets.found])
    weight = torch.cat([found.confidence for found in stage.targets.found])
    assert len(weight.unique()) > 2
    with torch.no_grad():
        rows = torch.cat([stage.method(d, torch.arange(len(x))) for d, x in enumerate(pair)])
    for c in range(len(NAMES)):
        mine = labels == c
        expected = F.normalize((rows[mine] * weight[mine, None]).sum(dim=0), dim=0)
        torch.testing.assert_close(stage.targets.prototypes[c], expected)


def test_prototypes_follow_the_images_of_each_step(stage):
    """Those of classes in the batch, by confidence and momentum; the others stay."""
    rng, prototypes = torch.Generator().manual_seed(0), stage.targets.prototypes
    prototypes.copy_(F.normalize(torch.randn(prototypes.shape, generator=rng), dim=1))
    before = prototypes.clone()
    rows, weights = torch.eye(prototypes.shape[1])[:3], torch.tensor([1.0, 3.0, 1.0])
    stage.latest = rows * weights[:, None], torch.tensor([1, 1, 0])
    stage.after_step()
    mean = (rows[0] + 3 * rows[1]) / 10**0.5
    assert torch.equal(prototypes[2:], before[2:])
    torch.testing.assert_close(prototypes[1], F.normalize(0.7 * before[1] + 0.3 * mean, dim=0))
    torch.testing.assert_close(prototypes[0], F.normalize(0.7 * before[0] + 0.3 * rows[2], dim=0))


def test_what_is_followed_are_the_weighted_embeddings(stage, pair):
    batches = first_images(pair)
    with torch.no_grad():
        z = [stage.method(b.domain, b.index) for b in batches]
    weight = torch.cat([stage.targets.found[b.domain].confidence[b.index] for b in batches])
    labels = torch.cat([stage.targets.found[b.domain].labels[b.index] for b in batches])
    before = stage.targets.prototypes.clone()
    step(stage, batches)
    rows, found = stage.latest
    torch.testing.assert_close(rows, torch.cat(z) * weight[:, None])
    assert torch.equal(found, labels) and not rows.requires_grad
    assert not torch.equal(stage.targets.prototypes, before) and not stage.targets.prototypes.requires_grad


def test_later_epochs_leave_the_prototypes_to_the_steps(stage, pair):
    step(stage, first_images(pair))
    before = stage.targets.prototypes.clone()
    stage.begin_epoch(1)
    assert torch.equal(stage.targets.prototypes, before)


@pytest.mark.parametrize("epoch", [0, 7])
def test_labels_come_from_the_learned_texts_once(backbone, pair, epoch):
    """At the first epoch, or where a run goes on."""
    stage = made(backbone, pair)
    with torch.no_grad():
        stage.method.texts.prompt.context.mul_(200)
    stage.targets.cfg = dataclasses.replace(CONFIG, refined=False)
    before = [found.labels for found in stage.targets.found]
    shares = stage.begin_epoch(epoch)
    for d, images in enumerate(pair):
        texts = centred(stage.method.texts(NAMES, images.name))
        expected = (stage.targets.vectors[d] @ texts.T).argmax(dim=1)
        assert torch.equal(stage.targets.found[d].labels, expected) and not torch.equal(expected, before[d])
    assert set(shares) == {"kept", "corrected", "doubted"}
    kept = stage.targets.found
    assert stage.begin_epoch(epoch + 1) == shares and stage.targets.found is kept


@pytest.mark.parametrize(
    ("steps", "epochs", "batch_size", "expected"), [(900, 150, 4, 150), (10, 150, 4, 2), (9, 3, 24, 3)]
)
def test_its_length_is_in_steps_and_a_small_domain_is_not_seen_too_often(
    backbone, pair, steps, epochs, batch_size, expected
):
    """The longer domain has 24 images."""
    assert made(backbone, pair, steps=steps, epochs=epochs, batch_size=batch_size).epochs == expected


def test_the_terms_have_the_weights_of_the_config(backbone, pair):
    stage = made(backbone, pair, instance_weight=2.0, cluster_weight=3.0, domain_weight=4.0)
    assert stage.weights == {"instance": 2.0, "cluster": 3.0, "domain": 4.0}
