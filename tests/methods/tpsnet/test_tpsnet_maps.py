"""TPSNet, stage 2: how long it is, the two terms of the loss, the log, and that it learns."""

import dataclasses

import pytest
import torch
from methods.driving import first_images, step, values
from pictures import CLASSES, patterned

from tpsnet.losses import image_to_text, neighbour_contrast
from tpsnet.methods import TPSNet, TPSNetConfig
from tpsnet.methods.tpsnet.maps import MapStage
from tpsnet.training import fit

pytestmark = pytest.mark.usefixtures("exact")
CONFIG = TPSNetConfig(clusters=2, prompt_epochs=1, smoothing=0.3, text_weight=2.0, temperature=0.2)


def made(backbone, pair, **changes) -> MapStage:
    """The maps are chance, so that views and domains differ."""
    method = TPSNet(backbone, dataclasses.replace(CONFIG, **changes))
    method.prepare(pair)
    rng = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for w in method.maps:
            w.copy_(0.3 * torch.randn(w.shape, generator=rng))
    return method.stages()[-1]


@pytest.fixture
def stage(backbone, pair) -> MapStage:
    return made(backbone, pair)


@pytest.mark.parametrize(
    ("steps", "epochs", "batch_size", "expected"), [(900, 150, 4, 150), (10, 150, 4, 2), (9, 3, 24, 3)]
)
def test_its_length_is_in_steps_and_a_small_domain_is_not_seen_too_often(
    backbone, pair, steps, epochs, batch_size, expected
):
    """The longer domain has 24 images."""
    stage = made(backbone, pair, steps=steps, epochs=epochs, batch_size=batch_size)
    assert stage.epochs == expected


def test_the_terms_of_the_loss(stage, pair):
    """Neighbours in both domains of the images of both, and the colour view beside its cluster's prompt."""
    method, targets = stage.method, stage.targets
    stage.begin_epoch(3)
    found = values(stage.losses(*first_images(pair)))
    stage.begin_epoch(3)  # the same neighbours are drawn again
    expected = {"nn": 0.0, "i2tce": 0.0}
    for d in range(2):
        mapped = method.mapped([z[:12] for z in targets.views[d]])
        for other in range(2):
            drawn, related = targets.draw(torch.arange(12), d, other, stage.rng)
            partners = method.join(method.mapped([z[drawn] for z in targets.views[other]]))
            weights = targets.trusted(torch.arange(12), d, other)
            z = method.join(mapped)
            expected["nn"] += neighbour_contrast(z, partners, related, weights, temperature=0.2)
        texts, labels = method.texts[d], targets.labels(d)[:12]
        expected["i2tce"] += image_to_text(mapped[0], texts, labels, temperature=0.1, smoothing=0.3)
    assert found == pytest.approx(values(expected))
    assert stage.weights == {"nn": 1.0, "i2tce": 2.0}
    stage.begin_epoch(4)
    assert values(stage.losses(*first_images(pair)))["nn"] != pytest.approx(found["nn"])


def test_only_the_maps_are_trained(stage, pair):
    (group,) = stage.parameters()
    assert group["lr"] == CONFIG.map_lr
    assert {id(p) for p in group["params"]} == {id(w) for w in stage.method.maps}
    before = [w.clone() for w in stage.method.maps]
    stage.begin_epoch(0)
    step(stage, first_images(pair))
    assert all((w - b).abs().max() > 1e-4 for w, b in zip(stage.method.maps, before, strict=True))


def test_the_log_tells_how_many_find_a_neighbour_across_the_domains(backbone, pair):
    stage = made(backbone, pair, clusters=CLASSES)  # one neighbour, which not every image finds
    method, near = stage.method, stage.targets.near
    rows, found = [method.embed(images) for images in pair], []
    for d in range(2):
        nearest = (rows[d] @ rows[1 - d].T).argmax(dim=1).tolist()
        found.append(sum(n == near[d][1 - d][i, 0] for i, n in enumerate(nearest)) / len(nearest))
    assert 0 < min(found) < 1
    assert stage.begin_epoch(0) == {"found": pytest.approx(sum(found) / 2)}


def test_it_learns_to_find_neighbours(backbone, rng):
    pair = tuple(patterned(name, rng, n=60)[0] for name in ("line", "shaded"))
    changes = {"epochs": 60, "batch_size": 60, "text_weight": 0.0, "map_lr": 1e-2, "temperature": 0.1}
    method = TPSNet(backbone, dataclasses.replace(CONFIG, clusters=CLASSES, **changes))
    maps = [row for row in fit(method, pair) if row["stage"] == "maps"]
    assert maps[-1]["losses"]["nn"] < 0.9 * maps[0]["losses"]["nn"]
