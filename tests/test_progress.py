"""What a waiting person reads: the time left, and few enough lines."""

import re

import pytest
from hostile import COLOURS

from tpsnet import progress
from tpsnet.escape import printable
from tpsnet.progress import PLAIN, Progress, clock


@pytest.fixture
def time(monkeypatch):
    """A clock that stands still until it is set forward."""

    class Time:
        now = 100.0

        def monotonic(self):
            return self.now

    time = Time()
    monkeypatch.setattr(progress, "time", time)
    return time


def lines(capsys):
    return capsys.readouterr().out.splitlines()


def test_the_time_left_is_that_of_the_stage_by_its_own_epochs(time, capsys):
    """Fifteen quick epochs, then four of 20 s each: a mean over all would promise a few seconds."""
    with Progress({"prompts": 15, "maps": 4}, "TPSNet") as shown:
        for _ in range(15):
            time.now += 2
            shown.step()
        for _ in range(4):
            time.now += 20
            shown.step("loss 1.0")
    first, *_, third, fourth, last = lines(capsys)
    assert first == "TPSNet, prompts (1 of 2)  53 % · 0:16 spent · 0:14 left, then maps"
    assert third == "TPSNet, maps (2 of 2)  50 % · 1:10 spent · 0:40 left  loss 1.0"
    assert fourth == "TPSNet, maps (2 of 2)  75 % · 1:30 spent · 0:20 left  loss 1.0"
    assert last == "TPSNet, maps (2 of 2) 100 % · 1:50 spent · 0:00 left  loss 1.0"


def test_what_an_earlier_run_has_done_is_not_speed(time, capsys):
    with Progress({"prompts": 3, "none": 0, "maps": 4}, "TPSNet") as shown:
        shown.skip(5)
        time.now += 30
        shown.step()
        time.now += 30
        shown.step()
    assert lines(capsys) == [
        "TPSNet, maps (2 of 2)  50 % · 0:30 spent · 0:30 left",
        "TPSNet, maps (2 of 2) 100 % · 1:00 spent · 0:00 left",
    ]


def test_an_executed_notebook_gets_twenty_lines_at_most(time, capsys, monkeypatch):
    monkeypatch.setenv(PLAIN, "1")
    with Progress(10_000, "work") as shown:
        for _ in range(10_000):
            time.now += 3.6  # ten hours
            shown.step()
    written = lines(capsys)
    assert 5 < len(written) <= 20
    assert re.match("work 100 % · 10:00:00 spent · 0:00 left", written[-1])


def test_a_name_stays_in_its_line(time, capsys):
    with Progress(1, COLOURS) as shown:
        shown.step(COLOURS)
    (line,) = lines(capsys)
    assert line.count(printable(COLOURS)) == 2 and line == printable(line)


def test_the_clock():
    assert [clock(s) for s in (0.4, 59.6, 3599.4, 3600.0)] == ["0:00", "1:00", "59:59", "1:00:00"]
