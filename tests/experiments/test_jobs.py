"""The job runner: what is done once, what a kill costs, and what counts as the same job."""

import json

import pytest

from tpsnet.errors import InputError
from tpsnet.experiments.jobs import Job, run_jobs


def jobs(*numbers: int, **made: object) -> list[Job]:
    return [Job({"number": n, **made}, (n,), f"job {n}") for n in numbers]


@pytest.fixture
def work():
    """Squares, and remembers what it was called with."""

    def square(number: int) -> dict:
        square.calls.append(number)
        return {"square": number**2, "pair": (number, number)}

    square.calls = []
    return square


def test_results_come_in_order_and_only_once(tmp_path, work):
    first = run_jobs(tmp_path / "new" / "rows.jsonl", jobs(2, 3), work)
    assert [r["square"] for r in first] == [4, 9] and first[0]["pair"] == [2, 2]  # as JSON gives them
    again = run_jobs(tmp_path / "new" / "rows.jsonl", jobs(3, 4, 2), work)
    assert [r["square"] for r in again] == [9, 16, 4] and work.calls == [2, 3, 4]
    assert again[2] == first[0]


def test_other_makings_are_other_jobs_and_both_stay(tmp_path, work):
    file = tmp_path / "rows.jsonl"
    run_jobs(file, jobs(2, rate=0.1), work)
    run_jobs(file, jobs(2, rate=0.2), work)
    assert work.calls == [2, 2] and len(file.read_text().splitlines()) == 2
    run_jobs(file, jobs(2, rate=0.1) + jobs(2, rate=0.2), work)
    assert work.calls == [2, 2]


@pytest.mark.parametrize("cut", [1, 2, 20])
def test_a_line_that_a_kill_has_cut_is_made_anew(tmp_path, work, cut):
    file = tmp_path / "rows.jsonl"
    whole = run_jobs(file, jobs(2, 3), work)
    file.write_text(file.read_text().rstrip()[:-cut])
    assert run_jobs(file, jobs(2, 3), work) == whole and work.calls == [2, 3, 3]
    assert [json.loads(line)["square"] for line in file.read_text().splitlines()] == [4, 9]


def test_a_stale_result_is_made_anew(tmp_path, work):
    run_jobs(tmp_path / "rows.jsonl", jobs(2, 3), work)
    run_jobs(tmp_path / "rows.jsonl", jobs(2, 3), work, stale=lambda job: job.arguments == (3,))
    assert work.calls == [2, 3, 3]


def double(number: int) -> dict:
    print("noise")
    if number == 7:
        raise InputError("seven is not a number")
    return {"double": 2 * number}


def test_two_workers_do_the_same_and_are_silent(tmp_path, capfd):
    results = run_jobs(tmp_path / "rows.jsonl", jobs(1, 2, 3), double, workers=2)
    assert [r["double"] for r in results] == [2, 4, 6]
    shown = capfd.readouterr().out
    assert "table 100 %" in shown and "noise" not in shown


def test_what_a_worker_cannot_do_reaches_the_caller_and_the_others_stay(tmp_path):
    file = tmp_path / "rows.jsonl"
    with pytest.raises(InputError, match="seven"):
        run_jobs(file, jobs(1, 7), double, workers=2)
    run_jobs(file, jobs(1), double)
    assert len(file.read_text().splitlines()) == 1
