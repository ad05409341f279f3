"""NAME=VALUE by hand: types, the nearest name, what cannot be set; and a training that uses them."""

import json

import pytest
from pictures import write_tree

from tpsnet import cli
from tpsnet.cli.settings import read_settings
from tpsnet.engine import FitConfig
from tpsnet.methods import TPSNetConfig, UEMConfig
from tpsnet.types import InputError


def test_values_take_the_type_of_their_field():
    given = {"epochs": "3", "encoder_lr": "1e-5", "phase_prior": "False", "synergy": "literal", "warmup": "0"}
    method, loop = read_settings(given, TPSNetConfig, FitConfig)
    assert method == {"epochs": 3, "encoder_lr": 1e-5, "phase_prior": False, "synergy": "literal"}
    assert loop == {"warmup": 0.0} and type(loop["warmup"]) is float
    assert read_settings({"clusters": "none"}, UEMConfig) == ({"clusters": None},)
    assert read_settings({"clusters": "12"}, UEMConfig) == ({"clusters": 12},)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"epoch": "3"}, "no setting 'epoch': did you mean 'epochs'"),
        ({"epochs": "2.5"}, "-p epochs=2.5: give int"),
        ({"phase_prior": "no"}, "give true or false"),
        ({"synergy": "token"}, "give tokens or "),
        ({"seed": "3"}, "no setting 'seed'"),
        ({"augment": "x"}, "no setting 'augment'"),
    ],
)
def test_what_does_not_fit_is_one_line(given, message):
    with pytest.raises(InputError, match=message):
        read_settings(given, TPSNetConfig, FitConfig)


@pytest.fixture
def train(tmp_path, small_clip, monkeypatch):
    monkeypatch.setenv("TPSNET_CACHE", str(tmp_path / "cache"))
    root = write_tree(tmp_path / "data", {"flat": ("ant", "bee"), "line": ("ant", "bee")}, each=10)

    def run(*more: str, run: str = "run", pair: tuple[str, str] = ("flat", "line")) -> int:
        few = ["-p", "epochs=1", "-p", "prompt_epochs=1", "-p", "weight_decay=0.5"]
        source = ["--root", str(root), "--model", str(small_clip)]
        return cli.main(["train", *pair, str(tmp_path / run), *source, *few, *more])

    run.root, run.folder = root, tmp_path / "run"
    return run


def test_a_training_is_told(train):
    assert train("-p", "text_prior=false") == 0
    rows = [json.loads(line) for line in (train.folder / "log.jsonl").read_text().splitlines()]
    assert [row["stage"] for row in rows] == [rows[0]["stage"]]  # one epoch; without prompts one stage
    assert train("-p", "depth=3", run="other") == 2


def test_a_run_is_not_resumed_with_other_pictures(train, capsys):
    """Same shapes everywhere: only the pictures tell that it is another run."""
    assert train() == 0
    assert train("--resume", pair=("line", "flat")) == 2
    assert "data.first = 'flat, 20 pictures, " in capsys.readouterr().err
    (train.root / "line/bee/3.png").write_bytes((train.root / "flat/ant/3.png").read_bytes())
    assert train("--resume") == 2
    assert "data.second = 'line, 20 pictures, " in capsys.readouterr().err
