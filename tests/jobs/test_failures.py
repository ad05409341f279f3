"""Rows that fail: what is kept of them, what goes on, and what the next call does."""

from pathlib import Path

import pytest
import small_work

from tpsnet.errors import Failure, InputError, RowsFailed
from tpsnet.jobs import Job, run_jobs


def jobs(*calls: tuple) -> list[Job]:
    return [Job({"call": list(call)}, call, " ".join(map(str, call))) for call in calls]


def fail(folder: Path, *calls: tuple, **where: object) -> RowsFailed:
    with pytest.raises(RowsFailed) as caught:
        run_jobs(folder / "rows.jsonl", jobs(*calls), small_work.do, **where)
    return caught.value


def test_the_others_go_on_and_each_failure_is_kept_with_its_traceback(tmp_path, capsys):
    found = fail(tmp_path, ("square", 2), ("stumble", 5), ("refuse", 7), ("square", 3))
    assert [row["square"] for row in found.results] == [4, 9]
    fault, refusal = found.failures
    assert (fault.title, fault.reason, fault.mendable) == ("stumble 5", "ZeroDivisionError: by 5", False)
    assert (refusal.title, refusal.reason, refusal.mendable) == ("refuse 7", "7 is not a number", True)
    assert 'raise ZeroDivisionError(f"by {number}' in fault.file.read_text()
    assert str(found) == "2 rows failed, the others are done; the same call tries again"
    assert not found.mendable and RowsFailed([refusal]).mendable
    shown = capsys.readouterr().out.splitlines()
    assert f"failed: stumble 5: ZeroDivisionError: by 5 ({fault.file})" in shown


def test_the_next_call_tries_again_and_forgets_what_has_been_mended(tmp_path, monkeypatch):
    calls = (("refuse", 7), ("stumble", 5), ("square", 2))
    first = fail(tmp_path, *calls)
    monkeypatch.setattr(small_work, "refuse", lambda number: {"square": 0})
    second = fail(tmp_path, *calls)
    assert [f.title for f in second.failures] == ["stumble 5"] and len(second.results) == 2
    assert [f.file.exists() for f in first.failures] == [False, True]
    monkeypatch.setattr(small_work, "stumble", lambda number: {"square": 1})
    rows = run_jobs(tmp_path / "rows.jsonl", jobs(*calls), small_work.do)
    assert [row["square"] for row in rows] == [0, 1, 4]
    assert sorted(p.name for p in tmp_path.iterdir() if p.name != ".lock") == ["rows.jsonl"]


def test_a_row_that_was_to_be_made_anew_and_failed_is_not_given_back(tmp_path, monkeypatch):
    run_jobs(tmp_path / "rows.jsonl", jobs(("square", 2)), small_work.do)
    monkeypatch.setattr(small_work, "square", small_work.refuse)
    found = fail(tmp_path, ("square", 2), stale=lambda job, row: True)
    assert found.results == []


def test_full_memory_is_a_failure_that_the_user_can_mend(tmp_path, monkeypatch):
    def fill(number: int) -> dict:
        raise MemoryError

    monkeypatch.setattr(small_work, "square", fill)
    (failure,) = fail(tmp_path, ("square", 2)).failures
    assert failure.reason.startswith("memory is full") and failure.mendable


def test_what_json_cannot_hold_is_a_failure_of_its_row(tmp_path, monkeypatch):
    monkeypatch.setattr(small_work, "square", lambda number: {"path": Path("x")})
    (failure,) = fail(tmp_path, ("square", 2)).failures
    assert failure.reason.startswith("TypeError") and not failure.mendable


def test_what_concerns_every_row_ends_the_call(tmp_path, monkeypatch):
    """Here the file of the rows, which has become a folder."""

    def spoil(number: int) -> dict:
        (tmp_path / "rows.jsonl").unlink(missing_ok=True)
        (tmp_path / "rows.jsonl").mkdir()
        return {}

    monkeypatch.setattr(small_work, "square", spoil)
    with pytest.raises(InputError, match="cannot write"):
        run_jobs(tmp_path / "rows.jsonl", jobs(("square", 2), ("refuse", 1)), small_work.do)
    assert not (tmp_path / "failures").exists()


def test_a_failure_stays_in_its_line():
    failure = Failure("a\nb", "c\x1b[31m", Path("d\re"), False)
    assert str(failure) == "a\\nb: c\\x1b[31m (d\\re)"


def test_a_worker_that_dies_costs_its_own_row_alone_which_is_tried_once_more(tmp_path):
    once, always = str(tmp_path / "once"), str(tmp_path / "always")
    calls = (("die", always, 99), ("die", once, 1), ("refuse", 7), ("square", 3))
    found = fail(tmp_path, *calls, workers=2)
    assert [row.get("square", row.get("calls")) for row in found.results] == [2, 9]
    refusal, death = sorted(found.failures, key=lambda failure: not failure.mendable)
    assert refusal.reason == "7 is not a number"
    assert "died twice (SIGKILL(-9))" in death.reason and "\n" not in death.reason and not death.mendable
    assert [len(Path(calls).read_text().splitlines()) for calls in (once, always)] == [2, 2]
