"""Two processes train as one: the same gradients, losses and weights, and one of them writes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import together
import torch
from together import CUT, MAKE

import tpsnet
from tpsnet import distributed
from tpsnet.backbone import load_backbone
from tpsnet.errors import InputError
from tpsnet.io import read_tensors
from tpsnet.training import fit

# Rounding alone: a share of a batch is multiplied in another order than the batch. Found were 8e-7 and 2e-6.
LOSSES = {"rel": 3e-6}
WEIGHTS = {"rtol": 0, "atol": 1e-5}


@pytest.fixture(scope="module")
def exact():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cpu, "get_capabilities", dict)
        yield


@pytest.fixture(scope="module")
def folders(small_clip, tmp_path_factory, exact) -> tuple[Path, Path]:
    """What one process has left, and what two have."""
    one, two = (tmp_path_factory.mktemp(name) for name in ("one", "two"))
    clip, pair = load_backbone(small_clip), together.images()
    together.cut(clip, pair, two / "begun by one")
    here = Path(tpsnet.__file__).parents[1]
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": f"{here}{os.pathsep}{here / 'tests'}"}
    line = [sys.executable, "-m", "together"]
    children = [
        subprocess.Popen([*line, str(rank), str(two), small_clip], env=env, stderr=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    for name, make in MAKE.items():  # meanwhile
        fit(make(clip), pair, folder=one / name)
    for child in children:
        assert child.communicate()[1] == "" and child.returncode == 0
    fit(MAKE[CUT](clip), pair, folder=two / "begun by two", resume=True)
    return one, two


@pytest.fixture(scope="module")
def found(folders) -> list[dict]:
    """What each of the two has found."""
    return [json.loads((folders[1] / f"{rank}.json").read_text()) for rank in range(2)]


def log(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def same_losses(rows: list[dict], expected: list[dict]) -> None:
    assert [(r["stage"], r["epoch"]) for r in rows] == [(r["stage"], r["epoch"]) for r in expected]
    for row, other in zip(rows, expected, strict=True):
        assert row["losses"] == pytest.approx(other["losses"], **LOSSES), row
        assert row["shares"] == other["shares"]


def same_weights(folder: Path, other: Path) -> None:
    tensors, expected = (read_tensors(x / "model.safetensors")[0] for x in (folder, other))
    assert set(tensors) == set(expected)
    for name, tensor in tensors.items():
        for part, other_part in zip(moved(name, tensor), moved(name, expected[name]), strict=True):
            torch.testing.assert_close(part, other_part, **WEIGHTS, msg=lambda text, n=name: f"{n}: {text}")


def moved(name: str, tensor: torch.Tensor) -> list[torch.Tensor]:
    """What its loss moves: a softmax over keys does not see their bias."""
    if not name.endswith("in_proj_bias"):
        return [tensor]
    query, _, value = tensor.chunk(3)
    return [query, value]


@pytest.mark.parametrize("n", ["6", "5", "1"])
def test_averaged_gradients_are_those_of_the_whole_batch(found, n):
    """Of the tower, which has seen a share, and of the head, which has seen all rows."""
    for one in found:
        assert max(one["gradients"][n].values()) < 1e-12, one["gradients"][n]


@pytest.mark.parametrize("name", MAKE)
def test_two_processes_have_the_losses_of_one(folders, found, name):
    one, two = (log(folder / name) for folder in folders)
    same_losses(two, one)
    assert found[0]["rows"][name] == two
    same_losses(found[1]["rows"][name], one)


@pytest.mark.parametrize("name", MAKE)
def test_two_processes_train_what_one_does(folders, name):
    same_weights(folders[1] / name, folders[0] / name)


@pytest.mark.parametrize("name", ["begun by one", "begun by two"])
def test_a_run_is_resumed_by_another_number_of_processes(folders, name):
    same_losses(log(folders[1] / name), log(folders[0] / CUT))
    same_weights(folders[1] / name, folders[0] / CUT)


def test_only_the_first_process_writes(folders):
    assert not (folders[1] / "of the other").exists()
    assert len(list((folders[1] / CUT / "tensorboard").iterdir())) == 1


def test_what_the_first_process_knows_all_know(found):
    for rank, one in enumerate(found):
        known = one["agreement"]
        assert known["level"] == {"a": 0, "b": 1, "c": 0, "d": 0}
        assert known["told"] == {"rank": 0, "word": "é"}
        assert known["sent"] == {"x": [0, 1, 2], "y": 2.5} and known["first"] == (rank == 0)


def test_another_start_is_named_in_the_process_that_has_it(found):
    first, other = (one["agreement"] for one in found)
    assert "refused" not in first
    assert other["refused"].startswith("a process has rank = 1, the first one 0; give all processes the same")


def test_alone_nothing_is_shared_out():
    with distributed.together():
        assert not distributed.sharing() and distributed.is_first() and distributed.size() == 1
        assert distributed.share(4).tolist() == [0, 1, 2, 3]
        distributed.check_alike({"a": 1})


def test_an_environment_that_makes_no_sense_is_one_line(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "two")
    with pytest.raises(InputError, match=r"^WORLD_SIZE = 'two' in the environment is no number"):
        distributed.started()
    for name in ("MASTER_ADDR", "MASTER_PORT", "RANK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with (
        pytest.raises(InputError, match=r"^cannot join the other processes \(.*RANK"),
        distributed.joined("cpu"),
    ):
        pass
    with pytest.raises(InputError, match="give cuda, each takes a GPU"), distributed.joined("cuda:1"):
        pass
