"""The run folder while training goes on: log, events, checkpoints, and a run that is interrupted."""

import errno
import json
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn
from torch.utils.tensorboard import SummaryWriter
from training.smallest import Pull, PullConfig, small_backbone

from tpsnet.backbone import TowerConfig
from tpsnet.data import AugmentConfig
from tpsnet.errors import InputError
from tpsnet.io import read_tensors, write_tensors
from tpsnet.training import FitConfig, fit
from tpsnet.training.checkpoint import changed_state
from tpsnet.types import Images

CHECKPOINT, MODEL = "checkpoint.safetensors", "model.safetensors"


def made(seed: int = 0, backbone: int = 0, **changes) -> Pull:
    return Pull(small_backbone(backbone), PullConfig(**changes), seed)


def interrupted(pair: tuple[Images, Images], folder: Path, step: int = 9, save_every: float = 0.0) -> Pull:
    """A method that is stopped in the middle of an epoch; two steps are an epoch, stage one has three."""
    method = made()
    method.stop = step
    with pytest.raises(KeyboardInterrupt):
        fit(method, pair, folder=folder, save_every=save_every, resume=True)
    method.stop = None
    return method


def unseconded(rows: list[dict]) -> list[dict]:
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


def logged(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_a_finished_folder_holds_log_events_and_model(pair, tmp_path):
    rows = fit(made(), pair, folder=tmp_path / "new" / "run")
    names = {file.name for file in (tmp_path / "new" / "run").iterdir()}
    assert names == {".lock", "log.jsonl", "tensorboard", MODEL}
    assert logged(tmp_path / "new" / "run") == rows


@pytest.mark.parametrize("step", [3, 5, 7, 9, 10])
@pytest.mark.parametrize("save_every", [0.0, 1000.0], ids=["each epoch", "each stage"])
def test_an_interrupted_run_ends_with_the_same_bits(pair, tmp_path, step, save_every):
    """Inside a stage, in the first epoch of the next one, at its end; the log counts each epoch once."""
    whole = made()
    rows = fit(whole, pair, folder=tmp_path / "whole")
    interrupted(pair, tmp_path / "run", step, save_every)
    assert not (tmp_path / "run" / MODEL).exists()
    saved = step > 6 or not save_every
    assert (tmp_path / "run" / CHECKPOINT).exists() == saved
    method = made()
    again = fit(method, pair, folder=tmp_path / "run", resume=True)
    done = (step - 1) // 2 if not save_every else 3 * (step > 6)
    assert len(method.steps) == 10 - 2 * done
    assert unseconded(again) == unseconded(rows) and logged(tmp_path / "run") == again
    found = method.state_dict()
    assert all(torch.equal(t, found[name]) for name, t in whole.state_dict().items())
    assert not (tmp_path / "run" / CHECKPOINT).exists()


def test_the_momentum_of_sgd_survives_a_kill(pair, tmp_path):
    cfg, whole = FitConfig(optimizer="sgd"), made()
    rows = fit(whole, pair, cfg)
    stopped = made()
    stopped.stop = 5
    with pytest.raises(KeyboardInterrupt):
        fit(stopped, pair, cfg, folder=tmp_path, save_every=0.0)
    with pytest.raises(InputError, match=r"made with fit\.optimizer = 'sgd', not 'adamw'"):
        fit(made(), pair, folder=tmp_path, resume=True)
    method = made()
    assert unseconded(fit(method, pair, cfg, folder=tmp_path, resume=True)) == unseconded(rows)
    assert torch.equal(method.number, whole.number) and len(method.steps) == 6


def test_the_same_object_goes_back_to_its_checkpoint(pair, tmp_path):
    """Also the backbone's weights, which the checkpoint leaves out, as nothing had moved them by then."""
    whole = made()
    fit(whole, pair)
    method = interrupted(pair, tmp_path, step=9, save_every=1000.0)
    names = read_tensors(tmp_path / CHECKPOINT)[0]
    assert not [name for name in names if "backbone" in name]
    assert [name for name in changed_state(method) if "backbone" in name]
    fit(method, pair, folder=tmp_path, resume=True)
    found = method.state_dict()
    assert all(torch.equal(t, found[name]) for name, t in whole.state_dict().items())


def test_changed_state_leaves_out_what_equals_the_backbone():
    method = made()
    assert set(changed_state(method)) == {"number", "brightness"}
    with torch.no_grad():
        method.backbone.tower.fc[2].bias[1] += 1e-6
    assert set(changed_state(method)) == {"number", "brightness", "backbone.tower.fc.2.bias"}


def test_events_count_each_epoch_once(pair, tmp_path):
    interrupted(pair, tmp_path, step=9, save_every=1000.0)  # the events are an epoch ahead
    rows = fit(made(), pair, folder=tmp_path, resume=True)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    for stage, steps in (("one", [0, 1, 2]), ("two", [3, 4])):
        found = events.Scalars(f"{stage}/near")
        assert [event.step for event in found] == steps
        assert [event.value for event in found] == pytest.approx([rows[i]["losses"]["near"] for i in steps])
    assert [event.value for event in events.Scalars("one/noted")] == [0.0, 0.25, 0.5]


@pytest.mark.parametrize("finished", [False, True])
def test_a_folder_with_a_run_is_not_overwritten(pair, tmp_path, finished):
    fit(made(), pair, folder=tmp_path) if finished else interrupted(pair, tmp_path)
    before = {file: file.read_bytes() for file in tmp_path.iterdir() if file.is_file()}
    with pytest.raises(InputError, match=r"already holds a run; resume it \(--resume\) or choose another"):
        fit(made(), pair, folder=tmp_path)
    assert all(file.read_bytes() == content for file, content in before.items())


class Push(Pull):
    name = "Push"


@pytest.mark.parametrize("finished", [False, True])
def test_another_run_is_refused_by_its_first_difference(pair, tmp_path, finished):
    fit(made(), pair, folder=tmp_path) if finished else interrupted(pair, tmp_path)
    edited = Images("b", pair[1].pixels.clone())
    edited.pixels[7, 2, 1, 1] ^= 1
    checksum = r"[0-9a-f]{8}"
    cases = [
        (Push(small_backbone(), PullConfig(), 5), pair, None, "method.name = 'Pull', not 'Push'"),
        (made(seed=5, weight=1.0), pair, None, "method.seed = 0, not 5"),
        (made(weight=1.0, size=2), pair, None, r"method.weight = 2\.0, not 1\.0"),
        (made(backbone=1), pair, FitConfig(warmup=0.5), r"fit.warmup = 0\.1, not 0\.5"),
        (made(), pair, FitConfig(AugmentConfig(flip=0.0)), r"fit.augment.flip = 0\.5, not 0\.0"),
        (made(), pair[::-1], None, f"data.first = 'a, 8 images, {checksum}', not 'b, 8 images"),
        (made(), (pair[0], edited), None, f"data.second = 'b, 8 images, {checksum}', not 'b, 8 images"),
        (made(backbone=1), pair, None, f"data.clip = '{checksum}', not '{checksum}'"),
    ]
    for method, images, cfg, reason in cases:
        with pytest.raises(
            InputError, match=f"^.* was made with {reason}.*; give the old value or .*folder$"
        ):
            fit(method, images, cfg, folder=tmp_path, resume=True)
        assert not method.steps


def test_what_runs_the_tower_may_change_but_its_precision_may_not(pair, tmp_path):
    interrupted(pair, tmp_path)
    with pytest.raises(InputError, match=r"fit\.tower\.precision = 'auto', not 'bf16'"):
        fit(made(), pair, FitConfig(tower=TowerConfig("bf16")), folder=tmp_path, resume=True)
    fit(made(), pair, FitConfig(tower=TowerConfig(micro_batch=3)), folder=tmp_path, resume=True)


def test_a_checkpoint_of_before_names_no_precision(pair, tmp_path):
    interrupted(pair, tmp_path)
    tensors, meta = read_tensors(tmp_path / CHECKPOINT)
    del meta["identity"]["fit.tower.precision"]
    write_tensors(tmp_path / CHECKPOINT, tensors, meta)
    with pytest.raises(InputError, match=r"fit\.tower\.precision = 'auto', not 'fp32'"):
        fit(made(), pair, FitConfig(tower=TowerConfig("fp32")), folder=tmp_path, resume=True)
    fit(made(), pair, folder=tmp_path, resume=True)


def test_a_state_of_another_shape_is_one_line(pair, tmp_path):
    interrupted(pair, tmp_path)
    wide = made()
    wide.number = nn.Parameter(torch.zeros(2))
    with pytest.raises(
        InputError, match=r"^.*checkpoint.* does not fit .*number.*; choose another run folder$"
    ):
        fit(wide, pair, folder=tmp_path, resume=True)


def test_a_damaged_checkpoint_is_named(pair, tmp_path):
    interrupted(pair, tmp_path)
    file = tmp_path / CHECKPOINT
    file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(
        InputError, match=r"^cannot read .*checkpoint.*; remove it or choose another run folder$"
    ):
        fit(made(), pair, folder=tmp_path, resume=True)


def test_a_flipped_byte_in_a_checkpoint_is_found(pair, tmp_path):
    interrupted(pair, tmp_path)
    content = bytearray((tmp_path / CHECKPOINT).read_bytes())
    content[-2] ^= 1
    (tmp_path / CHECKPOINT).write_bytes(content)
    with pytest.raises(
        InputError, match=r"checkpoint.* \(its checksum is wrong.*; remove it or choose another"
    ):
        fit(made(), pair, folder=tmp_path, resume=True)


ROW = {"stage": "one", "epoch": 0, "losses": {"loss": 1.0}, "shares": {}, "seconds": 0.1}
FOREIGN = {
    "rows are missing": ({"rows": None}, "rows: Field required"),
    "rows are a text": ({"rows": "many"}, "rows: .*valid list, not 'many'"),
    "a row is a text": ({"rows": ["one"]}, r"rows\.0: .*not 'one'"),
    "a row has no losses": ({"rows": [ROW | {"losses": [1]}]}, r"rows\.0\.losses: .*valid dictionary"),
    "the position is missing": ({"next_position": None}, "next_position: Field required"),
    "a stage too many": ({"next_position": [3, 0]}, r"next_position is stage 3, epoch 0 after 4 epochs"),
    "an epoch too many": ({"next_position": [1, 2]}, r"next_position is stage 1, epoch 2 .*have \[3, 2\]"),
    "an epoch after the end": ({"next_position": [2, 1]}, "next_position is stage 2, epoch 1"),
    "an epoch too few": ({"next_position": [1, 0]}, "stage 1, epoch 0 after 4 epochs"),
    "before the start": ({"next_position": [-1, 0]}, r"next_position\.0: .*not -1"),
    "no pair": ({"next_position": 4}, "next_position: .*valid tuple, not 4"),
    "no identity": ({"identity": []}, "identity: .*valid dictionary"),
    "another format": ({"format": 2}, "format: .*not 2"),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_a_checkpoint_of_another_form_is_one_line(pair, tmp_path, case):
    interrupted(pair, tmp_path)
    changes, reason = FOREIGN[case]
    tensors, meta = read_tensors(tmp_path / CHECKPOINT)
    meta = {key: value for key, value in (meta | changes).items() if value is not None}
    write_tensors(tmp_path / CHECKPOINT, tensors, meta)
    method = made()
    with pytest.raises(InputError, match=reason) as caught:
        fit(method, pair, folder=tmp_path, resume=True)
    assert "\n" not in str(caught.value) and CHECKPOINT in str(caught.value) and not method.steps


@pytest.mark.parametrize(
    ("name", "tensor", "reason"),
    [
        ("optimizer.0.exp_avg", None, r"optimiser's 0\.exp_avg is missing, not \(1,\)"),
        ("optimizer.0.exp_avg", torch.zeros(2), r"optimiser's 0\.exp_avg is \(2,\), not \(1,\)"),
        ("optimizer.0.step", torch.zeros(2), r"optimiser's 0\.step is \(2,\), not \(\)"),
        ("optimizer.0.speed", torch.zeros(1), r"optimiser's 0\.speed is \(1,\), not missing"),
        ("optimizer.77.step", torch.zeros(()), r"optimiser's 77\.step is \(\), not missing"),
        ("optimizer.first", torch.zeros(()), r"optimiser's first is \(\), not missing"),
    ],
)
def test_odd_entries_of_the_optimiser_are_one_line(pair, tmp_path, name, tensor, reason):
    interrupted(pair, tmp_path)
    tensors, meta = read_tensors(tmp_path / CHECKPOINT)
    tensors = {key: t for key, t in (tensors | {name: tensor}).items() if t is not None}
    write_tensors(tmp_path / CHECKPOINT, tensors, meta)
    with pytest.raises(InputError, match=reason):
        fit(made(), pair, folder=tmp_path, resume=True)


def other(**changed: object) -> Pull:
    """The same weights behind another preprocessing or with another activation."""
    backbone = small_backbone()
    for name, value in changed.items():
        setattr(backbone, name, value)
    return Pull(backbone, PullConfig())


@pytest.mark.parametrize("finished", [False, True])
def test_another_preprocessing_or_activation_is_another_run(pair, tmp_path, finished):
    fit(made(), pair, folder=tmp_path) if finished else interrupted(pair, tmp_path)
    with pytest.raises(
        InputError, match=r"made with data\.preprocessing = 'resize 224, .*not 'resize 2, mean"
    ):
        shifted = "resize 2, mean 0.1 0.1 0.1, std 1 1 1"
        fit(other(preprocessing=shifted), pair, folder=tmp_path, resume=True)
    with pytest.raises(InputError, match=r"made with data\.quick_gelu = False, not True; give the old value"):
        fit(other(quick_gelu=True), pair, folder=tmp_path, resume=True)


@pytest.mark.parametrize("finished", [False, True])
def test_a_run_of_before_is_gone_on_with(pair, tmp_path, finished):
    """Its files have no preprocessing, no activation, no format of the checkpoint and no checksum."""
    from safetensors.torch import save_file

    whole = made()
    fit(whole, pair, folder=tmp_path) if finished else interrupted(pair, tmp_path)
    if not finished:
        fit(whole, pair)
    file = tmp_path / (MODEL if finished else CHECKPOINT)
    tensors, meta = read_tensors(file)
    del meta["identity"]["data.preprocessing"], meta["identity"]["data.quick_gelu"]
    if finished:
        del meta["backbone"]["preprocessing"], meta["backbone"]["quick_gelu"]
    else:
        del meta["format"]
    save_file(tensors, file, {"meta": json.dumps(meta)})
    method = made()
    fit(method, pair, folder=tmp_path, resume=True)
    images = pair[0]
    assert torch.equal(method.embed(images), whole.embed(images)) and torch.equal(method.number, whole.number)


def full_disk(file: str):
    """Writes half of a file and fails, for files whose name starts like this; the others are written."""
    from safetensors.torch import save_file

    def write(tensors: dict, path: Path, metadata: dict) -> None:
        if not path.name.startswith(file):
            return save_file(tensors, path, metadata)
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    return write


def test_a_full_disk_leaves_the_older_checkpoint(pair, tmp_path, monkeypatch):
    interrupted(pair, tmp_path, step=5)
    before = (tmp_path / CHECKPOINT).read_bytes()
    with monkeypatch.context() as patch, pytest.raises(InputError, match=r"^cannot write .*No space left"):
        patch.setattr("tpsnet.io.save_file", full_disk("checkpoint"))
        fit(made(), pair, folder=tmp_path, resume=True)
    assert (tmp_path / CHECKPOINT).read_bytes() == before and not list(tmp_path.glob("*partial"))
    whole, method = made(), made()
    assert unseconded(fit(method, pair, folder=tmp_path, resume=True)) == unseconded(fit(whole, pair))


def test_a_full_disk_leaves_no_half_model(pair, tmp_path, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(InputError, match=r"^cannot write .*No space left"):
        patch.setattr("tpsnet.io.save_file", full_disk("model"))
        fit(made(), pair, folder=tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {".lock", "log.jsonl", "tensorboard", CHECKPOINT}
    whole, method = made(), made()
    rows = fit(whole, pair)
    assert unseconded(fit(method, pair, folder=tmp_path, resume=True)) == unseconded(rows)
    assert not method.steps and torch.equal(method.embed(pair[0]), whole.embed(pair[0]))
    assert {file.name for file in tmp_path.iterdir()} == {".lock", "log.jsonl", "tensorboard", MODEL}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's device that is always full")
def test_a_full_disk_under_the_log_is_one_line(pair, tmp_path):
    (tmp_path / "log.jsonl").symlink_to("/dev/full")
    with pytest.raises(InputError, match=r"^cannot write to .*No space left.*; choose another run folder$"):
        fit(made(), pair, folder=tmp_path)


@pytest.mark.parametrize("call", ["add_scalar", "close"])
def test_a_full_disk_under_the_events_is_one_line(pair, tmp_path, monkeypatch, call):
    """TensorBoard writes in a thread; its error surfaces in one of the next calls."""

    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(InputError, match=r"^cannot write to .*No space left"):
        patch.setattr(SummaryWriter, call, full)
        fit(made(), pair, folder=tmp_path)
    fit(made(), pair, folder=tmp_path, resume=True)
    assert len(logged(tmp_path)) == 5


@pytest.mark.parametrize("file", ["run", "run/log.jsonl/x", "run/tensorboard"])
def test_what_stands_in_the_way_is_one_line(pair, tmp_path, file):
    """A file where the folder or the events should be, a folder where the log should be."""
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).touch()
    with pytest.raises(InputError, match=r"^cannot write to .*run .*; choose another.* folder$"):
        fit(made(), pair, folder=tmp_path / "run")


def test_a_run_killed_between_model_and_checkpoint_is_finished(pair, tmp_path, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "unlink", interrupt)
        fit(made(), pair, folder=tmp_path)
    method = made()
    fit(method, pair, folder=tmp_path, resume=True)
    assert not method.steps
    assert {file.name for file in tmp_path.iterdir()} == {".lock", "log.jsonl", "tensorboard", MODEL}


def interrupt(path: Path, missing_ok: bool = False) -> None:
    if path.name == CHECKPOINT:
        raise KeyboardInterrupt
