"""Methods that train a tower: locked layers stay, and a tower that is run with less memory trains alike."""

import dataclasses

import pytest
from pictures import CLASSES

from tpsnet.backbone import LayerRates, TowerConfig, layers
from tpsnet.errors import InputError
from tpsnet.methods import (
    Method,
    TPSNet,
    TPSNetConfig,
    TPSNetPrinted,
    TPSNetPrintedConfig,
    UEMPrinted,
    UEMPrintedConfig,
)
from tpsnet.training import FitConfig, fit

pytestmark = pytest.mark.usefixtures("exact")
PRINTED = TPSNetPrintedConfig(clusters=CLASSES, prompt_epochs=1, epochs=2, encoder_lr=1e-3, batch_size=16)
UEM = UEMPrintedConfig(clusters=CLASSES, idse_epochs=1, cdsm_epochs=2, lr=1e-3, batch_size=16)
CASES = pytest.mark.parametrize(
    ("kind", "config"), [(TPSNetPrinted, PRINTED), (UEMPrinted, UEM)], ids=["TPSNetPrinted", "UEMPrinted"]
)


def made(backbone, kind: type[Method], config: object, rates: LayerRates) -> Method:
    return kind(backbone, dataclasses.replace(config, layers=rates))


def moved(method: Method) -> list[float]:
    """How far each layer of the tower is from where it was loaded."""
    both = (layers(method.backbone.tower), layers(method.given.tower))
    return [
        max(float((p - q).detach().abs().max()) for p, q in zip(*some, strict=True))
        for some in zip(*both, strict=True)
    ]


@CASES
def test_locked_layers_stay_and_the_others_move_at_their_rates(backbone, pair, kind, config):
    method = made(backbone, kind, config, LayerRates(layer_decay=0.1, locked=2))
    fit(method, pair)
    stem, first, second, head = moved(method)
    assert stem == first == 0 and 0 < second < 0.5 * head
    assert all(p.requires_grad for p in method.given.parameters())


@CASES
def test_a_tower_in_parts_trains_alike(backbone, pair, kind, config):
    tower = TowerConfig(checkpointing=True, micro_batch=5)
    plain, less = (made(backbone, kind, config, LayerRates()) for _ in range(2))
    expected, rows = fit(plain, pair), fit(less, pair, FitConfig(tower=tower))
    for row, other in zip(rows, expected, strict=True):
        assert row["losses"] == pytest.approx(other["losses"], rel=3e-6, abs=2e-6)  # rounding
    assert less.backbone.running == TowerConfig()  # it embeds as one that was loaded does


def test_settings_of_a_tower_are_refused_where_none_is_trained(backbone, pair, tmp_path):
    method = TPSNet(backbone, TPSNetConfig(clusters=CLASSES, prompt_epochs=1, epochs=1))
    with pytest.raises(InputError, match="this one trains none"):
        fit(method, pair, FitConfig(tower=TowerConfig(micro_batch=2)), folder=tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [".lock"]
