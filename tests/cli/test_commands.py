"""The command line as a user meets it: exit codes, one line a mistake, no traceback."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image

from tpsnet import cli
from tpsnet.cli import execute
from tpsnet.cli.commands import COMMANDS
from tpsnet.errors import InputError


@pytest.fixture(autouse=True)
def fresh_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TPSNET_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def notebook(tmp_path):
    path = tmp_path / "small.ipynb"
    kernel = {"name": "python3", "language": "python", "display_name": "Python 3"}
    cells = [
        new_code_cell("epochs: int = 3\nrate: float = 0.5", metadata={"tags": ["parameters"]}),
        new_code_cell("print(epochs, rate)\nassert epochs"),
    ]
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    return path


@pytest.fixture
def pictures(tmp_path):
    """Two domains with two classes of two pictures each."""
    root = tmp_path / "pictures"
    for i, place in enumerate(f"{d}/{c}/{n}.png" for d in "ab" for c in ("cat", "dog") for n in "12"):
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30), (i * 30, 0, 0)).save(root / place)
    return root


def complaint(capsys) -> str:
    """The last line on stderr; fails on a traceback."""
    error = capsys.readouterr().err
    assert "Traceback" not in error
    return error.rstrip("\n").splitlines()[-1]


def test_run_takes_parameters_in_both_ways(notebook, tmp_path):
    out = tmp_path / "out.ipynb"
    assert cli.main(["run", str(notebook), str(out), "-p", "epochs=7", "-p", "rate=1e-3"]) == 0
    nb = nbformat.read(out, as_version=4)
    assert nb.cells[-1].outputs[0].text == "7 0.001\n"


@pytest.mark.parametrize(
    ("given", "message"),
    [("epoch=3", "did you mean 'epochs'"), ("epochs=x", "must be int"), ("epochs", "write it as name=value")],
)
def test_a_wrong_parameter_ends_with_two_and_writes_nothing(notebook, tmp_path, capsys, given, message):
    out = tmp_path / "runs" / "out.ipynb"
    assert cli.main(["run", str(notebook), str(out), "-p", given]) == 2
    assert message in complaint(capsys)
    assert not out.parent.exists()


def test_a_failing_cell_ends_with_one(notebook, tmp_path, capsys):
    assert cli.main(["run", str(notebook), str(tmp_path / "out.ipynb"), "-p", "epochs=0"]) == 1
    assert "AssertionError" in complaint(capsys)


def test_prepare_counts(pictures, capsys):
    assert cli.main(["prepare", str(pictures), "--size", "16"]) == 0
    assert capsys.readouterr().out == "a: 4 images of 2 classes\nb: 4 images of 2 classes\n"


def test_prepare_names_every_unreadable_picture(pictures, caplog, capsys):
    (pictures / "a/cat/1.png").write_bytes(b"broken")
    Image.new("RGB", (1, 1)).save(pictures / "b/dog/2.png")
    assert cli.main(["prepare", str(pictures), "--size", "16"]) == 2
    assert "a/cat/1.png" in caplog.text and "b/dog/2.png" in caplog.text
    assert "2 images cannot be used" in complaint(capsys)


@pytest.mark.parametrize("arguments", [["prepare", "absent"], ["prepare", "{}", "--size", "0"]])
def test_bad_input_is_one_line_and_two(tmp_path, arguments):
    """In a real process, as the shell sees it."""
    line = [a.format(tmp_path) for a in arguments]
    done = subprocess.run([sys.executable, "-m", "tpsnet.cli", *line], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("tpsnet: ") and done.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [[], ["fly"], ["run"], ["prepare", "x", "--size", "big"]])
def test_usage_errors_end_with_two(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2


def test_an_interrupt_ends_with_130(notebook, tmp_path, monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(execute, "run_notebook", interrupted)
    assert cli.main(["run", str(notebook), str(tmp_path / "out.ipynb")]) == 130
    assert complaint(capsys) == "tpsnet: interrupted"


def test_the_installation_is_checked_before_the_command(monkeypatch, capsys, tmp_path):
    def broken():
        raise InputError("two faiss")

    monkeypatch.setattr(cli, "check_installation", broken)
    assert cli.main(["prepare", str(tmp_path / "absent")]) == 2
    assert complaint(capsys) == "tpsnet: two faiss"


def test_all_commands_are_listed(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["--help"])
    shown = capsys.readouterr().out
    assert caught.value.code == 0 and all(name in shown for name in COMMANDS)


def test_searching_imports_no_notebook_tools():
    """They take seconds, and a search should not."""
    code = "import sys, tpsnet.cli.use; print({'papermill', 'nbformat', 'plotly', 'umap'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stdout + done.stderr


def test_the_start_up_check_comes_before_the_heavy_imports():
    """Else a broken torchvision would be a traceback from an import."""
    heavy = {"torchvision", "open_clip", "faiss"}
    code = f"import sys, tpsnet.cli; print({heavy} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parent
    )
    assert done.stdout == "set()\n"
