"""How a command ends: interrupted, unread, on a full disk, at a terminal that cannot show a character."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from pictures import write_tree
from processes import ended

from tpsnet import cli
from tpsnet.cli import commands

TPSNET = [sys.executable, "-m", "tpsnet.cli"]


@pytest.fixture
def shell(tmp_path, monkeypatch):
    """``shell(*arguments, **options)``: a command in a process of its own, as ``subprocess.run`` gives it."""
    monkeypatch.setenv("TPSNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(Path(cli.__file__).parents[2]))

    def run(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "cwd": tmp_path, **options}
        return subprocess.run([*TPSNET, *arguments], text=True, errors="replace", check=False, **given)

    return run


@pytest.fixture
def tree(tmp_path) -> Path:
    return write_tree(tmp_path / "images", {"weiß → ☂": ("bee", "cat"), "line": ("bee", "cat")}, each=8)


def fail_with(monkeypatch, error: BaseException) -> None:
    """The next command raises an error."""

    def parse(argv):
        raise error

    monkeypatch.setattr(commands, "parse", parse)


def test_a_terminal_that_cannot_show_a_name_shows_something_else(shell, tree, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "cp1252:strict")
    done = shell("prepare", str(tree), "--size", "16", encoding="cp1252")
    assert done.returncode == 0, done.stderr
    assert "weiß ? ?: " in done.stdout
    done = shell("train", "line", "weiß → ☂", "run", "--root", str(tree), "--method", "Frozen")
    assert done.returncode == 0, done.stderr
    assert (tree.parent / "run/scores.json").is_file()
    (tree / "line/bee/notes.txt").touch()
    done = shell("train", "line", "weiß → ☂", "other", "--root", str(tree), "--method", "Frozen")
    assert done.stderr.startswith("passed over .txt files: 1, the first is ")


def test_a_reader_that_goes_away_ends_the_command_quietly(shell):
    for arguments in (("train", "--help"), ("--help",)):
        reader, writer = os.pipe()
        os.close(reader)
        done = shell(*arguments, stdout=writer)
        os.close(writer)
        assert (done.returncode, done.stderr) == (141, "")


def test_without_an_output_it_works_too(shell, tree):
    done = shell("prepare", str(tree), "--size", "16", stdout=None, preexec_fn=lambda: os.close(1))
    assert (done.returncode, done.stderr) == (0, "")


def test_a_full_disk_under_the_output_is_one_line(shell, tree):
    with Path("/dev/full").open("w") as full:
        done = shell("prepare", str(tree), "--size", "16", stdout=full)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "tpsnet: output: No space left on device"
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr


def test_an_error_that_nobody_foresaw_is_one_line_and_a_file(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    fail_with(monkeypatch, RuntimeError("first line\nsecond line"))
    assert cli.main(["prepare", "x"]) == 1
    line = capsys.readouterr().err
    (file,) = tmp_path.glob("tpsnet-error-*.txt")
    assert line == (
        f"tpsnet: RuntimeError: first line; an error that nobody foresaw, please report it with {file}\n"
    )
    assert "second line" in file.read_text() and "Traceback" in file.read_text()


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (PermissionError(13, "Permission denied", "/x"), "/x: Permission denied"),
        (OSError(28, "No space left on device"), "output: No space left on device"),
        (MemoryError(), "memory is full; take a smaller batch or fewer workers"),
        (BrokenPipeError(32, "Broken pipe"), "output: Broken pipe"),  # another pipe than that of the output
    ],
)
def test_what_the_machine_lacks_ends_with_two(monkeypatch, capfd, error, text):
    fail_with(monkeypatch, error)
    assert cli.main(["prepare", "x"]) == 2
    assert capfd.readouterr().err == f"tpsnet: {text}\n"


def test_without_a_home_nothing_is_written_to_the_root(shell, tree, monkeypatch):
    monkeypatch.delenv("TPSNET_CACHE")
    monkeypatch.setenv("HOME", "")
    done = shell("prepare", str(tree), "--size", "16")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "set TPSNET_CACHE" in done.stderr


def test_a_tilde_that_no_shell_expands_is_the_home_folder(shell, tree, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    done = shell("train", "line", "weiß → ☂", "~/runs/x", "--root=~/images", "--method", "Frozen")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs/x/scores.json").is_file() and not (tmp_path / "~").exists()
    done = shell("embed", "~/runs/x", "~/images/line", "~/line.safetensors")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "line.safetensors").is_file()


def sleeping_notebook(folder: Path) -> Path:
    """A notebook that writes its kernel's number to ``pid``, and then sleeps."""
    cells = [
        new_code_cell("epochs: int = 3", metadata={"tags": ["parameters"]}),
        new_code_cell(
            "import os, time\nfrom pathlib import Path\nPath('pid').write_text(str(os.getpid()))\n"
            "time.sleep(100)"
        ),
    ]
    kernel = {"name": "python3", "language": "python", "display_name": "Python 3"}
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), folder / "sleep.ipynb")
    return folder / "sleep.ipynb"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_notebook_that_is_stopped_leaves_nothing_behind(tmp_path, monkeypatch, number, code):
    monkeypatch.setenv("PYTHONPATH", str(Path(cli.__file__).parents[2]))
    book = sleeping_notebook(tmp_path)
    running = subprocess.Popen(
        [*TPSNET, "run", str(book), str(tmp_path / "out.ipynb")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    for _ in range(600):
        if (tmp_path / "pid").exists() and (tmp_path / "pid").read_text():
            break
        time.sleep(0.1)
    time.sleep(0.5)
    kernel = int((tmp_path / "pid").read_text())
    if number == signal.SIGINT:
        os.killpg(running.pid, number)  # as a terminal sends it, to the kernel too
    else:
        running.send_signal(number)
    _, complaint = running.communicate(timeout=60)
    assert running.returncode == code
    assert "Traceback" not in complaint
    assert sorted(p.name for p in tmp_path.iterdir()) == ["pid", "sleep.ipynb"]
    assert ended([kernel])


def test_an_interrupt_while_torch_is_imported_is_one_line(tmp_path):
    with subprocess.Popen(
        [*TPSNET, "prepare", str(tmp_path)],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as running:
        for _ in range(2000):
            if "libtorch" in Path(f"/proc/{running.pid}/maps").read_text():
                break
            time.sleep(0.01)
        running.send_signal(signal.SIGINT)
        _, complaint = running.communicate(timeout=60)
    assert (running.returncode, complaint) == (130, "tpsnet: interrupted\n")
