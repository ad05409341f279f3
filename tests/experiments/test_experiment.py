"""An experiment as a file: what is written can be run again, and what does not fit is one line."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tpsnet.data import AugmentConfig
from tpsnet.errors import InputError
from tpsnet.experiments import BASELINES, PROTOCOLS, Closed, Experiment, Source, Universal, ZeroShot
from tpsnet.methods import METHODS, CLAIRConfig, TPSNetConfig, UEMConfig
from tpsnet.presets import NAMES, load_preset
from tpsnet.training import FitConfig


@pytest.fixture
def small(root, small_clip, short, protocols):
    """Options of a short experiment on the small tree."""

    def make(method: str = "TPSNet", protocol: str = "closed") -> Experiment:
        return Experiment(
            ("flat", "line"), short[method].config, protocols[protocol], source=Source(root, small_clip)
        )

    return make


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=str)
@pytest.mark.parametrize("entry", METHODS.values(), ids=lambda e: e.method.__name__)
def test_what_is_saved_is_loaded(entry, protocol, tmp_path):
    there = Experiment(
        ("a", "b"),
        entry.config(),
        replace(protocol, lists=Path("lists"), ks=(3, 4)),
        FitConfig(AugmentConfig(crop_scale=(0.25, 1.0)), warmup=0.3),
        Source(Path("root"), "ViT-B-16", "openai", "cuda"),
        seed=4,
    )
    there.save(tmp_path / "config.json")
    assert Experiment.load(tmp_path / "config.json") == there


@pytest.mark.parametrize("name", NAMES)
def test_presets_are_experiments_that_can_be_saved(name, tmp_path):
    preset = load_preset(name)
    preset.save(tmp_path / "config.json")
    assert Experiment.load(tmp_path / "config.json") == preset
    with pytest.raises(InputError, match="no preset 'cars'; choose from"):
        load_preset("cars")


def test_the_embedded_preset_is_the_default():
    assert load_preset("embedded") == Experiment()


def test_what_is_left_out_takes_its_default(tmp_path):
    (tmp_path / "c.json").write_text(json.dumps({"method": "UEM", "config": {"merge": "global"}}))
    assert Experiment.load(tmp_path / "c.json") == Experiment(config=UEMConfig(merge="global"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot read"),
        ("[]", "no JSON object"),
        ({"format": 99}, "another version"),
        ({"method": "TPS"}, "no method 'TPS'; choose from TPSNet"),
        ({"protocol": {"name": "half"}}, "no protocol 'half'; choose from closed"),
        ({"config": {"epoch": 3}}, r"no field config\.epoch; there are .*epochs"),
        ({"fit": {"augment": {"crop": 3}}}, r"no field fit\.augment\.crop"),
        ({"config": {"epochs": "many"}}, r"config\.epochs: .*integer"),
        ({"speed": 3}, "no field 'speed'"),
    ],
)
def test_a_file_that_does_not_fit_is_one_line(tmp_path, text, message):
    file = tmp_path / "config.json"
    file.write_text(text if isinstance(text, str) else json.dumps(text))
    with pytest.raises(InputError, match=message) as caught:
        Experiment.load(file)
    assert "\n" not in str(caught.value) and str(file) in str(caught.value)


@pytest.mark.parametrize(
    ("method", "protocol"), [("TPSNet", "closed"), ("UEM", "open"), ("CLAIR", "zero-shot")]
)
def test_a_run_folder_can_be_run_again_to_the_same_scores(small, tmp_path, method, protocol):
    done, rows = small(method, protocol).run(tmp_path / "one")
    assert [row["name"] for row in rows] == [*BASELINES, method]
    left = {path.name for path in (tmp_path / "one").iterdir()}
    assert left == {
        "config.json",
        "embeddings",
        "log.jsonl",
        "model.safetensors",
        "scores.json",
        "tensorboard",
    }
    assert json.loads((tmp_path / "one" / "scores.json").read_text())["rows"] == json.loads(json.dumps(rows))
    assert [json.loads(x) for x in (tmp_path / "one" / "log.jsonl").read_text().splitlines()] == done.history
    Experiment.load(tmp_path / "one" / "config.json").run(tmp_path / "two")
    scores = [(tmp_path / name / "scores.json").read_bytes() for name in ("one", "two")]
    assert scores[0] == scores[1]


def test_a_finished_run_is_not_overwritten_but_resumed(small, tmp_path):
    small().run(tmp_path)
    before = (tmp_path / "config.json").read_text()
    with pytest.raises(InputError, match="already holds a run"):
        small().run(tmp_path)
    with pytest.raises(InputError, match=r"method\.name = 'TPSNet', not 'UEM'"):
        small("UEM").run(tmp_path, resume=True)
    assert (tmp_path / "config.json").read_text() == before
    small().run(tmp_path, resume=True)


def test_what_cannot_be_scored_leaves_no_folder(small, tmp_path):
    deep = replace(small(), protocol=Closed(ks=(16,)))
    with pytest.raises(InputError, match="k = 16 with 15 images"):
        deep.run(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_method_is_told_by_its_config():
    assert Experiment(config=CLAIRConfig()).method == "CLAIR"
    assert Experiment(config=TPSNetConfig()).method == "TPSNet"
    assert Experiment(protocol=Universal(spaces="opda")).protocol.name == "opda"
    assert Experiment(protocol=ZeroShot()).protocol.drawn
