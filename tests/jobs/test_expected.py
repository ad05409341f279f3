"""The time left of a table: by kind of row, shared by the workers, in words."""

import pytest

from tpsnet.jobs import Job, run_jobs, runner
from tpsnet.jobs.attempt import Outcome
from tpsnet.jobs.expected import Expected
from tpsnet.progress import in_words


def rows(**counts: int) -> list[Job]:
    return [Job({"n": n, "kind": kind}, (), "", kind=kind) for kind, k in counts.items() for n in range(k)]


def test_rows_are_expected_to_take_what_others_of_their_kind_took():
    jobs = rows(frozen=2, TPSNet=4)
    expected = Expected(jobs, at_once=1)
    assert expected.words() == "6 rows of kinds not timed yet"
    expected.over(jobs[0], 60.0)
    assert expected.words() == "about 1 minute left and 4 rows of kinds not timed yet"
    expected.over(jobs[2], 1200.0)
    assert expected.words() == "about 1 hour 1 minute left"
    expected.over(jobs[3], 600.0)  # the mean is a quarter of an hour
    assert expected.words() == "about 31 minutes left"
    expected.over(jobs[4], None)  # failed: that says nothing
    expected.over(jobs[5], None)
    assert expected.words() == "about 1 minute left"
    expected.over(jobs[1], 60.0)
    assert expected.words() == ""


def test_workers_share_the_rest_but_not_its_longest_row():
    jobs = rows(TPSNet=9)
    expected = Expected(jobs, at_once=4)
    expected.over(jobs[0], 600.0)
    assert expected.words() == "about 20 minutes left"
    for job in jobs[1:8]:
        expected.over(job, 600.0)
    assert expected.words() == "about 10 minutes left"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (29.0, "under a minute"),
        (31.0, "about 1 minute"),
        (3541.0, "about 59 minutes"),
        (3600.0, "about 1 hour"),
        (7800.0, "about 2 hours 10 minutes"),
        (86400.0, "about 1 day"),
        (176461.0, "about 2 days 1 hour"),
    ],
)
def test_time_in_words(seconds, words):
    assert in_words(seconds) == words


def test_the_first_row_says_it_and_logs_have_no_more_lines_than_before(tmp_path, monkeypatch, capsys):
    """A line every quarter of a minute, and the last one."""

    class Clock:
        now = 0.0

        def monotonic(self):
            return self.now

    def twenty_seconds_each(jobs, work, workers, device):
        for job in jobs:
            Clock.now += 20.0
            yield job, Outcome({}, 20.0)

    monkeypatch.setattr("tpsnet.progress.time", Clock())
    monkeypatch.setattr(runner, "in_workers", twenty_seconds_each)
    run_jobs(tmp_path / "rows.jsonl", rows(TPSNet=10), dict)
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == 10
    assert shown[0] == "table  10 % · 0:20 spent · about 3 minutes left"
    assert shown[-1] == "table 100 % · 3:20 spent"
