"""``tpsnet train``: options from the dataclasses, experiments to start from, and a run that is killed."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from pictures import write_tree

from tpsnet import cli
from tpsnet.cli.train import parse_train
from tpsnet.data import AugmentConfig
from tpsnet.experiments import Closed, Experiment, Source, Universal, ZeroShot
from tpsnet.methods import CLAIRConfig, TPSNetConfig, UEMConfig
from tpsnet.presets import load_preset


def parsed(*argv: str):
    return parse_train(list(argv))


def test_options_reach_the_field_they_are_named_after():
    """Of the method, the protocol, the loop, and of what is nested in it."""
    found = parsed(
        *("a", "b", "runs/x", "--epochs", "3", "--no-phase-prior", "--map-lr", "0.1", "--clusters", "7"),
        *("--crop-scale", "0.3", "0.9", "--warmup", "0", "--ks", "1", "2", "--root", "data", "--seed", "4"),
    )
    assert found.places == ("a", "b", "runs/x") and found.seed == 4
    assert found.config == TPSNetConfig(epochs=3, phase_prior=False, map_lr=0.1, clusters=7)
    assert found.fit.augment == AugmentConfig(crop_scale=(0.3, 0.9)) and found.fit.warmup == 0
    assert found.protocol == Closed(ks=(1, 2)) and str(found.source.root) == "data"


@pytest.mark.parametrize(
    ("method", "protocol", "options", "config", "value"),
    [
        ("UEM", "open", ["--merge", "global"], UEMConfig(merge="global"), Universal(spaces="open")),
        ("CLAIR", "zero-shot", ["--unseen", "x", "y"], CLAIRConfig(), ZeroShot(unseen=("x", "y"))),
        ("TPSNet", "opda", ["--lists", "l"], TPSNetConfig(), Universal(spaces="opda")),
    ],
)
def test_each_method_and_protocol_has_options_of_its_own(method, protocol, options, config, value):
    found = parsed("a", "b", "r", "--method", method, "--protocol", protocol, *options)
    assert found.config == config and found.protocol.name == value.name
    assert getattr(found.protocol, "unseen", None) == getattr(value, "unseen", None)


@pytest.mark.parametrize(
    "options",
    [
        ["--epoch", "3"],
        ["--epochs", "2.5"],
        ["--merge", "half", "--method", "UEM"],
        ["--merge", "global"],  # UEM's
        ["--method", "DANN"],
        ["--protocol", "half"],
        ["--spaces", "open"],  # --protocol names them
    ],
)
def test_what_does_not_fit_ends_with_two(options, capsys):
    with pytest.raises(SystemExit) as caught:
        parsed("a", "b", "r", *options)
    assert caught.value.code == 2


def test_a_preset_is_where_it_starts():
    preset = load_preset("office_home").experiment()
    found = parsed("runs/x", "--preset", "office_home", "--epochs", "2", "--device", "cpu")
    assert found.pair == preset.pair and found.source.model == preset.source.model == "ViT-B-16"
    assert found.config == dataclasses.replace(preset.config, epochs=2)
    assert found.fit == preset.fit and found.source.device == "cpu"
    other = parsed("x", "y", "runs/x", "--preset", "office_home", "--method", "UEM", "--protocol", "open")
    assert other.config == UEMConfig() and other.protocol == Universal(spaces="open")
    assert other.source == preset.source and other.fit == preset.fit


def test_another_model_than_the_presets_takes_no_tag_of_its():
    line = ["runs/x", "--preset", "office-home", "--model"]
    assert parsed(*line, "embedded").source.pretrained is None
    assert parsed(*line, "RN50", "--pretrained", "openai").source.pretrained == "openai"


def test_a_row_as_printed_starts_from_the_papers_settings():
    found = parsed("runs/x", "--preset", "office_home", "--method", "UEMPrinted", "--protocol", "open")
    assert (found.config.idse_epochs, found.config.lr, found.fit.optimizer) == (100, 2e-4, "sgd")
    assert found.source.model.startswith("moco:") and found.seed == 2024


def test_a_config_file_is_where_it_starts(tmp_path):
    start = Experiment(("a", "b"), UEMConfig(idse_epochs=1), Universal(spaces="opda"), seed=7)
    start.save(tmp_path / "config.json")
    found = parsed("runs/x", "--from", str(tmp_path / "config.json"), "--cdsm-epochs", "5")
    assert found.config == UEMConfig(idse_epochs=1, cdsm_epochs=5) and found.protocol.name == "opda"
    assert (found.pair, found.seed) == (("a", "b"), 7)
    resumed = parsed(str(tmp_path), "--resume")
    assert resumed.config == start.config and resumed.pair == ("a", "b") and resumed.choice.resume


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ([], "train takes FIRST SECOND RUN"),
        (["runs/x"], "train takes FIRST SECOND RUN"),
        (["a", "runs/x"], "train takes FIRST SECOND RUN"),
        (["runs/x", "--from", "absent.json"], "cannot read absent.json"),
        (["runs/x", "--from", "absent.json", "--preset", "emoji"], "both name an experiment"),
        (["runs/x", "--preset", "ofice-home"], "no preset 'ofice-home'; did you mean 'office_home'?"),
    ],
)
def test_bad_input_is_one_line_and_two(line, message, capsys):
    assert cli.main(["train", *line]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_help_shows_the_options_of_the_method_that_is_asked_for(capsys):
    for method, shown, hidden in (
        ("TPSNet", "--phase-prior", "--merge"),
        ("UEM", "--merge", "--text-weight"),
    ):
        with pytest.raises(SystemExit) as caught:
            parsed("--method", method, "--help")
        text = capsys.readouterr().out
        assert caught.value.code == 0 and shown in text and hidden not in text and "--crop-scale" in text


@pytest.fixture
def small(tmp_path, small_clip):
    """Arguments of a short training in a process of its own."""
    classes = ("ant", "bee", "cat")
    root = write_tree(tmp_path / "images", {"flat": classes, "line": classes}, each=16)

    def arguments(run: str, *more: str) -> list[str]:
        program = [sys.executable, "-m", "tpsnet.cli", "train", "flat", "line", str(tmp_path / run)]
        return [*program, "--root", str(root), "--model", small_clip, *more]

    arguments.root, arguments.folder = root, tmp_path
    return arguments


def test_a_killed_run_resumes_to_the_same_scores(small):
    """SIGKILL in the middle of training; the resumed run's vectors and scores are those of a whole one."""
    env, folder = os.environ | {"OMP_NUM_THREADS": "1"}, small.folder
    subprocess.run(small("whole"), check=True, env=env, capture_output=True)

    process = subprocess.Popen(small("killed"), env=env, stdout=subprocess.DEVNULL)
    log, deadline = folder / "killed" / "log.jsonl", time.monotonic() + 240
    while time.monotonic() < deadline and not (log.is_file() and '"maps"' in log.read_text()):
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL and not (folder / "killed" / "scores.json").exists()

    again = [*small("killed")[:4], str(folder / "killed"), "--resume"]  # its own config tells the rest
    subprocess.run(again, check=True, env=env, capture_output=True)
    left = ("scores.json", *(f"embeddings/closed/TPSNet/{r}.safetensors" for r in ("query", "gallery")))
    for name in left:
        assert (folder / "killed" / name).read_bytes() == (folder / "whole" / name).read_bytes()
    assert Experiment.load(folder / "killed" / "config.json").source == Source(small.root, small("x")[-1])


def test_a_run_is_not_resumed_with_other_images(small, capsys):
    """Same shapes everywhere: only the images tell that it is another run."""
    few = ("--epochs", "1", "--prompt-epochs", "1")
    run = str(small.folder / "run")
    assert cli.main(small("run", *few)[3:]) == 0
    rows = [json.loads(line) for line in (small.folder / "run" / "log.jsonl").read_text().splitlines()]
    assert [row["stage"] for row in rows] == ["prompts", "maps"]
    assert cli.main(["train", "line", "flat", run, "--resume"]) == 2
    assert "pair = ('flat', 'line'), not ('line', 'flat')" in capsys.readouterr().err
    (small.root / "line/bee/3.png").write_bytes((small.root / "flat/ant/3.png").read_bytes())
    assert cli.main(["train", run, "--resume"]) == 2
    assert "data.second = 'line, 48 images, " in capsys.readouterr().err


def test_names_in_other_forms_and_encodings_go_all_the_way(tmp_path, small_clip, monkeypatch, caplog, capsys):
    """A class in both Unicode forms, one that needs another name, and Latin-1 in domain, class and file."""
    strange = os.fsdecode(b"\xe9tude")
    images = {strange: ["cafe\u0301", "ball", strange], "line": ["caf\u00e9", "Balls", strange]}
    root = write_tree(tmp_path / "images", images, each=16)
    for file in list(root.glob("*/*/0.png")):
        file.rename(file.with_name(os.fsdecode(b"\xff.png")))
    (root / "line" / "Balls" / "x.svg").touch()
    (tmp_path / "names.txt").write_text("Balls = ball\n")
    monkeypatch.chdir(tmp_path)
    line = ["train", strange, "line", "run", "--root", str(root), "--model", small_clip, "--method", "Frozen"]
    assert cli.main([*line, "--strict"]) == 2
    assert (
        "'Balls' in line and 'ball' in \\udce9tude" in capsys.readouterr().err
        and not (tmp_path / "run").exists()
    )
    caplog.clear()
    assert cli.main([*line, "--strict", "--classes", "names.txt"]) == 0
    assert cli.main(["train", "again", "--from", "run/config.json"]) == 0
    assert not [r for r in caplog.records if "two ways" in r.getMessage()]
    there, again = (json.loads((tmp_path / run / "scores.json").read_text()) for run in ("run", "again"))
    assert [r["directions"] for r in there["rows"]] == [r["directions"] for r in again["rows"]]
    card = there["rows"][-1]["directions"][0]["card"]
    assert (card["n_query"], card["n_classes"], card["n_unmatched"]) == (48, 3, 0)
    capsys.readouterr()
    query = str(next((root / "line" / strange).iterdir()))
    assert cli.main(["search", "run", query, "-k", "1", "--json"]) == 0
    assert strange in json.loads(capsys.readouterr().out)[0]["path"]
    assert cli.main(["embed", "run", str(root / strange), "out.safetensors"]) == 0


def test_what_is_passed_over_is_told_at_the_start_of_a_training(tmp_path, small_clip, caplog):
    root = write_tree(tmp_path / "images", {"flat": ["ant", "bee"], "line": ["ant", "bee"]}, each=16)
    (root / "line" / "bee" / "x.svg").touch()
    line = ["train", "flat", "line", str(tmp_path / "run"), "--root", str(root), "--model", small_clip]
    assert cli.main([*line, "--method", "Frozen"]) == 0
    assert [r.getMessage() for r in caplog.records] == [
        f"passed over .svg files: 1, the first is {root / 'line' / 'bee' / 'x.svg'}"
    ]
