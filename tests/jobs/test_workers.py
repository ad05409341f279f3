"""Worker processes: how many there are, and which GPU each one sees."""

import pytest
import small_work
import torch
from loky import cpu_count

from tpsnet.jobs import Job, default_workers, gpus, run_jobs, workers
from tpsnet.jobs.workers import VISIBLE, assigned


@pytest.mark.parametrize(
    ("device", "cards", "expected"),
    [
        ("cpu", (), min(4, cpu_count())),
        ("cuda", ("0", "1", "2"), 3),
        ("cuda", (), 1),  # which the backbone refuses
        ("cuda:1", ("0", "1"), 1),
        ("mps", (), 1),
    ],
)
def test_a_worker_for_each_gpu(device, cards, expected):
    assert default_workers(device, cards) == expected


@pytest.mark.parametrize(
    ("count", "device", "cards", "expected"),
    [
        (2, "cuda", ("0", "1"), ["0", "1"]),
        (5, "cuda", ("4", "GPU-8f"), ["4", "GPU-8f", "4", "GPU-8f", "4"]),
        (1, "cuda", ("0", "1"), ["0"]),
        (2, "cuda", ("0",), [None, None]),
        (2, "cuda:1", ("0", "1"), [None, None]),
        (2, "cpu", (), [None, None]),
    ],
)
def test_gpus_are_dealt_out_in_turn(count, device, cards, expected):
    assert assigned(count, device, cards) == expected


@pytest.mark.parametrize(
    ("visible", "count", "expected"),
    [(None, 2, ("0", "1")), ("3, 1", 2, ("3", "1")), ("2,-1,3", 1, ("2",)), ("", 0, ())],
)
def test_gpus_that_this_process_does_not_see_are_not_given_away(monkeypatch, visible, count, expected):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.delenv(VISIBLE, raising=False)
    if visible is not None:
        monkeypatch.setenv(VISIBLE, visible)
    assert gpus() == expected


def test_each_worker_sees_its_gpu_and_its_share_of_the_threads(tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "gpus", lambda: ("7", "3"))
    for name in (VISIBLE, *workers.THREADS):
        monkeypatch.delenv(name, raising=False)
    jobs = [Job({"number": n}, (VISIBLE, "OMP_NUM_THREADS"), "") for n in range(2)]
    rows = run_jobs(tmp_path / "rows.jsonl", jobs, small_work.environment, workers=2, device="cuda")
    assert [row["values"] for row in rows] == [[card, str(max(1, cpu_count() // 2))] for card in ("7", "3")]
