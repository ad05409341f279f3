"""One run for every method under every protocol: what reaches training, and what it leaves."""

import dataclasses
import json

import pytest
import torch

from tpsnet.backbone import LayerRates, TowerConfig
from tpsnet.evaluation import load_saved
from tpsnet.experiments import BASELINES, VARIANTS, Variant, make, run
from tpsnet.experiments.run import made_with
from tpsnet.methods import METHODS, CLAIRConfig, UEMConfig, UEMPrintedConfig
from tpsnet.training import FitConfig, load_trained


@pytest.mark.parametrize("protocol", ["closed", "open", "zero-shot"])
@pytest.mark.parametrize("name", ["TPSNet", "UEM", "CLAIR"])
def test_poisoned_labels_change_no_bit(name, protocol, pair, backbone, short, protocols):
    """With the labels shuffled after the protocol has divided the classes, vectors stay as they are.

    The names of the classes stay too: CLAIR is told them, TPSNet their number.
    """
    arranged = protocols[protocol].arrange(pair, 0)
    found = []
    for poisoned in (False, True):
        if poisoned:
            for domain in arranged.train.domains:
                domain.labels.copy_(domain.labels.flip(0))
        given = dataclasses.replace(protocols[protocol])
        object.__setattr__(given, "arrange", lambda *_: arranged)
        found.append(run(short[name], pair, given, 0, backbone=backbone).method)
    for images in pair.images:
        assert torch.equal(*(method.embed(images) for method in found))


@pytest.mark.parametrize("protocol", ["closed", "partial", "open", "zero-shot"])
@pytest.mark.parametrize("name", [*BASELINES, "TPSNet", "UEM", "CLAIR"])
def test_any_method_under_any_protocol_leaves_the_same(
    name, protocol, pair, backbone, short, protocols, tmp_path
):
    done = run(
        short[name], pair, protocols[protocol], 1, tmp_path / "run", backbone=backbone, keep=tmp_path / "kept"
    )
    assert json.loads(json.dumps(done.row)) == json.loads(json.dumps(done.row, default=str))
    assert (done.row["name"], done.row["seed"], done.row["protocol"]) == (name, 1, protocol)
    saved = load_saved(tmp_path / "kept")[protocol][name]
    expected = protocols[protocol].kept(done.embeddings, protocols[protocol].arrange(pair, 1))
    for kept, part in zip(saved, expected, strict=True):
        assert torch.equal(kept.vectors, part.vectors) and kept.paths == part.paths
    assert (saved[0].rejected is not None) == (protocol in ("partial", "open")) and saved[1].rejected is None
    assert ("H-score" in done.row["directions"][0]["metrics"]) == (protocol in ("partial", "open"))
    method, again = done.method, load_trained(tmp_path / "run", backbone=backbone)
    assert again.name == method.name == short[name].method
    for images in pair.images:
        assert torch.equal(method.embed(images), again.embed(images))


def test_what_does_not_fit_costs_no_training(pair, backbone, short, protocols, tmp_path):
    from tpsnet.errors import InputError

    many = dataclasses.replace(short["UEM"], config=UEMConfig(clusters=16))
    with pytest.raises(InputError, match="15 images for 16 clusters"):
        run(many, pair, protocols["closed"], 0, tmp_path / "run", backbone=backbone)
    with pytest.raises(InputError, match="seed = -1: give a whole number from 0"):
        run(short["UEM"], pair, protocols["closed"], -1, tmp_path / "run", backbone=backbone)
    assert not (tmp_path / "run").exists()


def test_the_protocol_tells_what_each_method_may_know(pair, backbone, protocols):
    train = protocols["zero-shot"].arrange(pair, 0).train
    told = {name: make(VARIANTS[name], train, 5, backbone) for name in ("TPSNet", "UEM", "CLAIR")}
    assert told["TPSNet"].cfg.clusters == 2 and told["UEM"].cfg.clusters is None
    assert told["CLAIR"].cfg.names == ("ant", "cat") and told["CLAIR"].oracle is None
    assert {method.seed for method in told.values()} == {5}


def test_the_oracle_is_given_rows_of_the_names(pair, backbone):
    """Also where the pair lacks classes of the table."""
    some = pair.subset(tuple((d.labels != 1).nonzero()[:, 0].tolist() for d in pair.domains))
    method = make(VARIANTS["CLAIR, true labels"], some, 0, backbone)
    method.prepare(some.images)
    for found, domain in zip(method.targets.found, some.domains, strict=True):
        names = [method.cfg.names[label] for label in found.labels]
        assert names == [path.parent.name for path in domain.paths]


def test_a_row_keeps_its_resolved_config(pair, backbone, short, protocols):
    row = run(short["TPSNet"], pair, protocols["closed"], 0, backbone=backbone).row
    assert row["config"]["clusters"] == 3 and row["made_with"]["config"]["clusters"] is None
    assert row["made_with"]["backbone"] == backbone.identity and row["made_with"]["metrics"] >= 2


def test_everything_a_row_depends_on_makes_another_row(backbone, short, protocols):
    base = {
        "variant": short["CLAIR"],
        "names": ("flat", "line"),
        "protocol": protocols["open"],
        "seed": 0,
        "loop": FitConfig(),
    }
    changes = {
        "variant": Variant("CLAIR", "CLAIR", CLAIRConfig(epochs=1, text_epochs=1, doubt=0.4)),
        "names": ("line", "flat"),
        "protocol": protocols["partial"],
        "seed": 1,
        "loop": FitConfig(warmup=0.2),
    }
    made = [made_with(**base, backbone=backbone)]
    made += [made_with(**base | {key: value}, backbone=backbone) for key, value in changes.items()]
    oracle = dataclasses.replace(short["CLAIR"], oracle=True)
    made.append(made_with(**base | {"variant": oracle}, backbone=backbone))
    assert len({json.dumps(m, sort_keys=True) for m in made}) == len(made)


def test_how_a_tower_is_run_and_learns_makes_another_row_where_it_is_not_the_default(backbone, protocols):
    """Rows of before name neither; what only rounds is not named at all."""

    def row(tower: TowerConfig | None = None, layers: LayerRates | None = None) -> dict:
        variant = Variant("x", "UEMPrinted", UEMPrintedConfig(layers=layers or LayerRates()))
        loop = FitConfig(tower=tower or TowerConfig())
        return made_with(variant, ("flat", "line"), protocols["closed"], 0, loop, backbone)

    plain = row()
    assert not {"tower", "layers"} & {*plain, *plain["fit"], *plain["config"]}
    assert row(TowerConfig(checkpointing=True, micro_batch=3, compile=True)) == plain
    assert row(TowerConfig("fp32")) == plain | {"tower": {"precision": "fp32"}}
    assert row(layers=LayerRates(locked=1)) == plain | {"layers": {"layer_decay": 1.0, "locked": 1}}


def test_every_variant_is_another_config_of_its_method():
    for variant in VARIANTS.values():
        assert type(variant.config) is METHODS[variant.method].config
    kinds = {(v.method, v.config, v.oracle) for v in VARIANTS.values()}
    assert len(kinds) == len(VARIANTS)
