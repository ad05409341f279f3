"""The loop: learning rate, log, refusals, and a run that is killed for real and resumed."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from pictures import write_tree
from torch import nn

from tpsnet.engine import FitConfig, fit, rate
from tpsnet.types import Batch, Images, InputError, Stage


class Pull(nn.Module):
    """The smallest method: one number is pulled to the mean index of a batch."""

    def __init__(self, cfg: FitConfig, epochs: int = 3) -> None:
        super().__init__()
        self.cfg, self.epochs = cfg, epochs
        self.number = nn.Parameter(torch.zeros(()))
        self.backbone = nn.Identity()
        self.backbone.identity = "none"
        self.steps, self.refreshed, self.finished = 0, [], []

    def stages(self) -> list[Stage]:
        groups = [{"params": [self.number], "lr": 0.1}]
        made = {"parameters": groups, "losses": self.losses, "weights": {"near": 2.0, "free": 0.0}}
        made |= {"views": 0, "batch_size": 4, "after_step": self.count}
        finish = lambda: self.finished.append((self.steps, len(self.refreshed)))  # noqa: E731
        return [Stage("one", self.epochs, refresh=self.note, finish=finish, **made), Stage("two", 1, **made)]

    def losses(self, first: Batch, second: Batch) -> dict[str, torch.Tensor]:
        target = (first.index.float().mean() + second.index.float().mean()) / 2
        return {"near": (self.number - target).square(), "free": self.number * 0 + 7}

    def note(self, epoch: int) -> dict[str, float]:
        self.refreshed.append(epoch)
        return {"noted": float(epoch)}

    def count(self) -> None:
        self.steps += 1

    def embed(self, images: Images) -> torch.Tensor:
        return torch.ones(len(images), 1)


@pytest.fixture
def pair():
    return tuple(Images(name, torch.zeros(8, 3, 2, 2, dtype=torch.uint8)) for name in ("a", "b"))


def test_stages_epochs_and_hooks_in_order(pair):
    method = Pull(FitConfig())
    rows = fit(method, pair)
    assert [(r["stage"], r["epoch"]) for r in rows] == [("one", 0), ("one", 1), ("one", 2), ("two", 0)]
    assert method.refreshed == [0, 1, 2] and method.steps == 8
    assert method.finished == [(6, 3)]  # once, after the last step of its stage and before the next stage
    assert rows[1]["noted"] == 1.0 and rows[0]["free"] == 7.0
    assert rows[0]["loss"] == pytest.approx(2 * rows[0]["near"])  # the weights


def test_rate_rises_then_falls_to_zero():
    factors = [rate(step, 20, 0.1) for step in range(20)]
    assert factors[:3] == [0.5, 1.0, 1.0]
    assert all(a > b for a, b in itertools.pairwise(factors[2:]))
    assert 0 < factors[-1] < 0.01 and rate(10, 20, 0.0) == pytest.approx(0.5, abs=0.05)


def test_log_and_events_are_on_disk(pair, tmp_path):
    rows = fit(Pull(FitConfig()), pair, FitConfig(run=tmp_path / "run"))
    lines = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == rows
    assert list((tmp_path / "run" / "tensorboard").glob("events*"))
    assert not list((tmp_path / "run").glob("*.partial"))


def test_a_folder_with_a_run_is_not_overwritten(pair, tmp_path):
    fit(Pull(FitConfig()), pair, FitConfig(run=tmp_path))
    with pytest.raises(InputError, match="already holds a run"):
        fit(Pull(FitConfig()), pair, FitConfig(run=tmp_path))


def test_a_finished_run_resumes_to_itself(pair, tmp_path):
    rows = fit(Pull(FitConfig()), pair, FitConfig(run=tmp_path))
    method = Pull(FitConfig())
    assert fit(method, pair, FitConfig(run=tmp_path, resume=True)) == rows and method.steps == 0


def test_other_settings_are_refused_by_name(pair, tmp_path):
    fit(Pull(FitConfig()), pair, FitConfig(run=tmp_path))
    with pytest.raises(InputError, match=r"fit\.seed = 0, not 5"):
        fit(Pull(FitConfig()), pair, FitConfig(run=tmp_path, resume=True, seed=5))


def test_another_backbone_or_other_pictures_are_refused(pair, tmp_path):
    fit(Pull(FitConfig()), pair, FitConfig(run=tmp_path))
    again = FitConfig(run=tmp_path, resume=True)
    other = Pull(FitConfig())
    other.backbone.identity = "other"
    with pytest.raises(InputError, match=r"data\.clip = 'none', not 'other'"):
        fit(other, pair, again)
    edited = Images("b", pair[1].pixels.clone())
    edited.pixels[7, 2, 1, 1] = 1
    with pytest.raises(InputError, match=r"data\.second = 'b, 8 pictures, [0-9a-f]{8}', not 'b, 8 pictures"):
        fit(Pull(FitConfig()), (pair[0], edited), again)


def test_weights_of_another_shape_are_one_line(pair, tmp_path):
    fit(Pull(FitConfig()), pair, FitConfig(run=tmp_path))
    wide = Pull(FitConfig())
    wide.number = nn.Parameter(torch.zeros(2))
    with pytest.raises(InputError, match=r"checkpoint.* does not fit .*number.*; choose another run folder"):
        fit(wide, pair, FitConfig(run=tmp_path, resume=True))


def test_a_damaged_checkpoint_is_named(pair, tmp_path):
    fit(Pull(FitConfig()), pair, FitConfig(run=tmp_path))
    file = tmp_path / "checkpoint.safetensors"
    file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(InputError, match=r"cannot read .*checkpoint"):
        fit(Pull(FitConfig()), pair, FitConfig(run=tmp_path, resume=True))


def test_a_full_disk_leaves_the_older_checkpoint(pair, tmp_path, monkeypatch):
    fit(Pull(FitConfig()), pair, FitConfig(run=tmp_path))
    before = (tmp_path / "checkpoint.safetensors").read_bytes()

    def full(tensors: dict, path: Path, metadata: dict) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tpsnet.checkpoint.save_file", full)
    with pytest.raises(InputError, match="No space left"):
        fit(Pull(FitConfig(), epochs=3), pair, FitConfig(run=tmp_path / "new"))
    assert not list((tmp_path / "new").glob("*partial"))
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before


def test_nan_is_named_with_its_term(pair):
    method = Pull(FitConfig())
    method.losses = lambda first, second: {"near": method.number * float("nan"), "free": method.number * 0}
    with pytest.raises(InputError, match=r"stage 'one', epoch 1: .* is nan"):
        fit(method, pair)


def train(run: Path, root: Path, clip: str, *extra: str) -> list[str]:
    program = [sys.executable, "-m", "tpsnet.cli", "train", "flat", "line", str(run)]
    return [*program, "--root", str(root), "--model", clip, *extra]


def test_a_killed_run_resumes_to_the_same_scores(tmp_path, small_clip):
    """SIGKILL in the middle of training; the resumed run's vectors and scores are those of a whole one."""
    classes = ("ant", "bee", "cat")
    root = write_tree(tmp_path / "pictures", {"flat": classes, "line": classes}, each=16)
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run(train(tmp_path / "whole", root, small_clip), check=True, env=env, capture_output=True)

    killed = tmp_path / "killed"
    process = subprocess.Popen(train(killed, root, small_clip), env=env, stdout=subprocess.DEVNULL)
    log, deadline = killed / "log.jsonl", time.monotonic() + 120
    while time.monotonic() < deadline and not (log.is_file() and '"network"' in log.read_text()):
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL and not (killed / "scores.json").exists()

    again = train(killed, root, small_clip, "--resume")
    subprocess.run(again, check=True, env=env, capture_output=True)
    for name in ("scores.json", "after/flat.safetensors", "after/line.safetensors"):
        assert (killed / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
