"""The job runner: what is done once, what a kill costs, and what counts as the same job."""

import json
import signal
import subprocess
import sys
import time

import pytest
from processes import ended

from tpsnet.errors import InputError
from tpsnet.jobs import Job, run_jobs
from tpsnet.paths import claimed

LONG = """
import os, sys, time
from pathlib import Path
from tpsnet.jobs import Job, run_jobs
def work(number):
    if number:
        Path(sys.argv[1], f"{number}.pid").write_text(str(os.getpid()))
        time.sleep(100)
    return {"number": number}
run_jobs(Path(sys.argv[1], "rows.jsonl"), [Job({"n": n}, (n,), "") for n in (0, 1, 2)], work, workers=2)
"""


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
    run_jobs(tmp_path / "rows.jsonl", jobs(2, 3), work, stale=lambda job, result: result["square"] == 9)
    assert work.calls == [2, 3, 3]


def double(number: int) -> dict:
    print("noise")
    return {"double": 2 * number}


def test_two_workers_do_the_same_and_are_silent(tmp_path, capfd):
    results = run_jobs(tmp_path / "rows.jsonl", jobs(1, 2, 3), double, workers=2)
    assert [r["double"] for r in results] == [2, 4, 6]
    shown = capfd.readouterr().out
    assert "table 100 %" in shown and "noise" not in shown


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_the_process_that_started_them_and_what_is_done_stays(tmp_path, number):
    with subprocess.Popen(
        [sys.executable, "-c", LONG, str(tmp_path)],
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as running:
        for _ in range(1200):
            pids = [int(text) for file in tmp_path.glob("*.pid") if (text := file.read_text())]
            if len(pids) == 2:
                break
            time.sleep(0.1)
        with pytest.raises(InputError, match="another process"), claimed(tmp_path):
            pass
        running.send_signal(number)
        running.wait(20)
    assert len(pids) == 2 and ended(pids)
    (row,) = (tmp_path / "rows.jsonl").read_text().splitlines()
    assert json.loads(row)["number"] == 0
    with claimed(tmp_path):
        pass


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"[]\n", "line 1: .*valid dictionary"),
        (b'"text"\n', "line 1: .*valid dictionary, not 'text'"),
        (b'{"a": 1}\n', "row 1 has no made_with"),
        (b'{"made_with": 3}\n', "row 1 has no made_with"),
        (b'{"made_with"\n{"made_with": {}}\n', "line 1 .*; remove the line"),
        (b"\xff\xfe", "cannot read .*codec"),
        (10**5 * b"[" + b"\n", "line 1 .*nested too deep"),
    ],
)
def test_what_is_no_result_is_named_and_stays(tmp_path, work, content, reason):
    file = tmp_path / "rows.jsonl"
    file.write_bytes(content)
    with pytest.raises(InputError, match=reason) as caught:
        run_jobs(file, jobs(2), work)
    assert "\n" not in str(caught.value) and str(file) in str(caught.value)
    assert file.read_bytes() == content and not work.calls


def test_older_results_lack_what_came_later(tmp_path, work):
    file = tmp_path / "rows.jsonl"
    run_jobs(file, jobs(2), work)
    newer = [Job({"number": 2, "preprocessing": "plain"}, (2,), "2", ("preprocessing",))]
    assert run_jobs(file, newer, work)[0]["square"] == 4 and work.calls == [2]
    newest = {"number": 2, "preprocessing": "plain", "activation": True}
    later = ("activation", "preprocessing")  # of which the file's result lacks both
    assert run_jobs(file, [Job(newest, (2,), "2", later)], work) and work.calls == [2]
    run_jobs(file, [Job({"number": 2, "preprocessing": "squash"}, (2,), "2")], work)
    assert work.calls == [2, 2]
    other = [Job({"number": 2, "preprocessing": "other"}, (2,), "2")]
    assert run_jobs(file, other, work) and work.calls == [2, 2, 2]
    for value in ("squash", "other"):  # these lack the latest alone
        newest["preprocessing"] = value
        assert run_jobs(file, [Job(newest, (2,), "2", ("activation",))], work) and len(work.calls) == 3


def test_a_result_of_another_form_is_found_before_any_work(tmp_path, work):
    def check(result: dict) -> None:
        if result["square"] == 4:
            raise InputError("a four")

    run_jobs(tmp_path / "rows.jsonl", jobs(2), work)
    with pytest.raises(InputError, match="a four"):
        run_jobs(tmp_path / "rows.jsonl", jobs(2, 3), work, check=check)
    assert work.calls == [2]
