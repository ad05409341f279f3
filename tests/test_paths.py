"""Paths as users give them; one process at a time in a folder; what killed writers leave."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from processes import dead, partial_of

from tpsnet.errors import InputError
from tpsnet.paths import check_output, claimed, partial_beside, sweep, user_path

HOLD = (
    "import sys, time\nfrom pathlib import Path\nfrom tpsnet.paths import claimed\n"
    "with claimed(Path(sys.argv[1])):\n    print('in', flush=True)\n    time.sleep(60)"
)


def test_the_home_folder_is_known_where_no_shell_expands_it(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_path("~/runs/x") == user_path(Path("~/runs/x")) == tmp_path / "runs/x"
    assert user_path("runs/~x") == Path("runs/~x") and user_path("") == Path()


@pytest.mark.parametrize("name", ["~nobody-of-this-name/x", "a\0b", "x" * 256, "é" * 128 + "/x", "\ud800"])
def test_a_name_that_no_file_can_have_is_refused(name):
    with pytest.raises(InputError):
        user_path(name)


def test_a_second_process_is_refused_and_a_kill_leaves_no_claim(tmp_path):
    folder = tmp_path / "new" / "run"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"in\n"
        with pytest.raises(InputError, match=r"another process writes to .*run; wait"), claimed(folder):
            pass
        other.kill()
    with claimed(folder), claimed(folder):  # one's own claims count as one
        pass


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write to"), claimed(tmp_path / "file" / "run"):
        pass


def test_what_killed_writers_left_is_removed_and_nothing_else(tmp_path):
    ours = partial_beside(tmp_path / "a.json")
    partial_of(dead(), tmp_path / "b")
    elsewhere, old = (
        tmp_path / f"c.{'0' * 8}-1-0123abcd.partial",
        tmp_path / f"d.{'0' * 8}-1-0123abcd.partial",
    )
    users = (tmp_path / "film.partial", tmp_path / "thesis.12.partial")
    for folder in (old, users[1]):
        folder.mkdir()
        (folder / "half").write_text("x")
    for file in (ours, elsewhere, users[0]):
        file.write_text("x")
    hours_ago = time.time() - 7200
    for path in (old / "half", old, *users):
        os.utime(path, (hours_ago, hours_ago))
    with claimed(tmp_path):
        there = {p.name for p in tmp_path.iterdir()}
    assert there == {".lock", *(p.name for p in (ours, elsewhere, *users))}
    ours.unlink()


def test_what_a_living_writer_has_begun_stays_however_old_it_is(tmp_path):
    """A writer of this machine may have slept; one of another machine writes far below the folder."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        asleep, elsewhere = (
            partial_of(other.pid, tmp_path / "a"),
            tmp_path / f"b.{'0' * 8}-1-0123abcd.partial",
        )
        elsewhere.mkdir()
        (elsewhere / "half").write_text("x")
        hours_ago = time.time() - 7200
        for path in (asleep / "half", asleep, elsewhere):
            os.utime(path, (hours_ago, hours_ago))
        sweep(tmp_path)
        assert {*tmp_path.iterdir()} == {asleep, elsewhere}


@pytest.mark.parametrize("name", ["data", "d" * 60, "[a]*", "a.b"])
def test_what_is_left_of_one_name_is_removed_and_of_no_other(tmp_path, name):
    number = dead()
    others = {partial_of(number, tmp_path / other) for other in ("data.more", "dat", "x", "a", "my.data")}
    living = partial_of(os.getpid(), tmp_path / name)
    partial_of(number, tmp_path / name)
    sweep(tmp_path, name)
    assert {*tmp_path.iterdir()} == {*others, living}


def test_behind_a_link_is_its_file_and_what_is_no_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("file")
    assert check_output(tmp_path / "link") == (tmp_path / "file").resolve()
    assert check_output(tmp_path / "new") == tmp_path / "new"
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "circle").symlink_to("circle")
    for name, reason in (("pipe", "no regular file"), ("circle", "leads to itself")):
        with pytest.raises(InputError, match=reason):
            check_output(tmp_path / name)
