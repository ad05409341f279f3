"""An experiment as a file: what is written can be run again, and what does not fit is one line."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tpsnet.data import AugmentConfig, Spelling
from tpsnet.errors import InputError
from tpsnet.experiments import BASELINES, PROTOCOLS, Closed, Experiment, Source, Universal, ZeroShot
from tpsnet.methods import METHODS, CLAIRConfig, FrozenConfig, TPSNetConfig, UEMConfig
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
        Source(Path("root"), "ViT-B-16", "openai", "cuda", Spelling(Path("names.txt"), strict=True)),
        seed=4,
    )
    there.save(tmp_path / "config.json")
    assert Experiment.load(tmp_path / "config.json") == there


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
        ({"method": ["TPSNet"]}, r"method: .*valid string, not \['TPSNet'\]"),
        ({"protocol": "closed"}, "protocol: .*valid dictionary, not 'closed'"),
        ({"protocol": [["name", "closed"]]}, "protocol: .*valid dictionary"),
        ({"protocol": {"name": ["closed"]}}, r"protocol\.name: .*valid string"),
        ({"config": 3}, "config: .*not 3"),
        ({"pair": ["line"]}, "pair.1: Field required"),
        (10**5 * '{"a":', "nested too deep"),
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
        ".lock",
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
    with pytest.raises(InputError, match=r"method = 'TPSNet', not 'UEM'"):
        small("UEM").run(tmp_path, resume=True)
    assert (tmp_path / "config.json").read_text() == before
    small().run(tmp_path, resume=True)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"protocol": Closed(ks=(2,))}, r"protocol\.ks"),
        ({"protocol": Universal(spaces="partial", ks=(1,))}, "protocol"),
        ({"seed": 1}, "seed = 0, not 1"),
        ({"fit": FitConfig(warmup=0.3)}, r"fit\.warmup = 0.1, not 0.3"),
    ],
)
def test_the_scores_of_a_folder_are_those_of_its_experiment(small, tmp_path, change, reason):
    experiment = replace(small(), config=FrozenConfig())
    experiment.run(tmp_path)
    before = (tmp_path / "scores.json").read_bytes()
    with pytest.raises(InputError, match=reason):
        replace(experiment, **change).run(tmp_path, resume=True)
    assert (tmp_path / "scores.json").read_bytes() == before


def test_images_and_lists_may_move_and_a_lost_configuration_comes_back(small, root, tmp_path, monkeypatch):
    shutil.copytree(root, tmp_path / "here")
    for name in ("flat", "line"):
        files = sorted(str(p.relative_to(root)) for p in (root / name).rglob("*.png"))
        for part in ("train", "test"):
            (tmp_path / f"{name}_{part}.txt").write_text("\n".join(files))
    monkeypatch.chdir(tmp_path)
    first = replace(small(), config=FrozenConfig(), source=replace(small().source, root=Path("here")))
    first = replace(first, protocol=replace(first.protocol, lists=Path()))
    first.run(tmp_path / "run")
    before = json.loads((tmp_path / "run/scores.json").read_text())
    shutil.move(tmp_path / "here", tmp_path / "there")
    monkeypatch.chdir("/")
    moved = replace(first, source=replace(first.source, root=tmp_path / "there"))
    moved = replace(moved, protocol=replace(first.protocol, lists=tmp_path, engine="torch"))
    for config in ("there", "lost"):
        if config == "lost":
            (tmp_path / "run/config.json").unlink()
        moved.run(tmp_path / "run", resume=True)
        assert Experiment.load(tmp_path / "run/config.json").source.root == tmp_path / "there"
    after = json.loads((tmp_path / "run/scores.json").read_text())
    assert [d["metrics"] for d in after["rows"][-1]["directions"]] == [
        d["metrics"] for d in before["rows"][-1]["directions"]
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"clusters": 99}, "15 images for 99 clusters"),
        ({"context": 11}, "context = 11: .* room for 10"),
        ({"context": 1_000_000}, "context = 1000000: .* room for 10"),
    ],
)
def test_what_does_not_fit_the_data_or_the_backbone_leaves_no_folder(small, tmp_path, changes, message):
    some = small()
    with pytest.raises(InputError, match=message):
        replace(some, config=replace(some.config, **changes)).run(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_method_is_told_by_its_config():
    assert Experiment(config=CLAIRConfig()).method == "CLAIR"
    assert Experiment(config=TPSNetConfig()).method == "TPSNet"
    assert Experiment(protocol=Universal(spaces="opda")).protocol.name == "opda"
    assert Experiment(protocol=ZeroShot()).protocol.drawn
