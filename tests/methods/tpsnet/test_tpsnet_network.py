"""TPSNet's network: what a small class and a switch leave out, and bad input."""

import dataclasses
import math

import pytest
import torch
from pictures import CLASSES

from tpsnet.errors import InputError
from tpsnet.methods import TPSNet, TPSNetConfig
from tpsnet.training import fit

pytestmark = pytest.mark.usefixtures("exact")
CONFIG = TPSNetConfig(clusters=CLASSES, prompt_epochs=1, epochs=2, batch_size=16)


def prepared(backbone, pair, **changes) -> TPSNet:
    method = TPSNet(backbone, dataclasses.replace(CONFIG, **changes))
    method.prepare(pair)
    return method.eval()


def test_without_the_text_prior_the_prompts_have_no_say(backbone, pair):
    trained = []
    for weight, prompt_epochs in ((0.0, 1), (0.0, 3), (1.0, 1)):
        changes = {"text_weight": weight, "prompt_epochs": prompt_epochs, "prompt_lr": 0.3}
        method = TPSNet(backbone, dataclasses.replace(CONFIG, **changes))
        fit(method, pair)
        trained.append(method.maps[0])
    assert torch.equal(trained[0], trained[1]) and not torch.equal(trained[0], trained[2])


@pytest.mark.parametrize(("clusters", "neighbours"), [(1, 5), (2, 3), (4, 1), (20, 1)])
def test_small_classes_have_fewer_neighbours(backbone, pair, clusters, neighbours):
    """A third of the mean class of the smaller domain, which has 20 images; at least one, at most five."""
    method = prepared(backbone, pair, clusters=clusters)
    assert method.targets.neighbours == neighbours


def test_bad_input_is_one_line(backbone, pair):
    with pytest.raises(InputError, match=r"^domain 'shaded' has 20 images for 21 clusters; ask for fewer cl"):
        prepared(backbone, pair, clusters=21)
    with pytest.raises(InputError, match=r"^TPSNet needs the number of clusters; set clusters"):
        TPSNet(backbone, TPSNetConfig())


def test_a_loss_that_is_not_finite_is_named(backbone, pair):
    method = TPSNet(backbone, CONFIG)
    method.prepare(pair)
    method.maps[0].data.fill_(math.nan)
    with pytest.raises(InputError, match=r"stage 'maps', epoch 1: .* lower the learning rates"):
        fit(method, pair)
