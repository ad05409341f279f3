"""The runner: parameters are checked before anything runs, and the output is whole or absent."""

import json
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tpsnet.cli.notebooks import check_parameters, run_notebook
from tpsnet.errors import InputError, NotebookFailed

PARAMETERS = """\
epochs: int = 3  # passes over the data
rate: float = 0.5
name: str = "a"
quick: bool = False
ks: list[int] = [1, 5]
"""


@pytest.fixture
def notebook(tmp_path):
    """``notebook("line", ...)``: a notebook with the parameters above and one code cell a line."""

    def write(*cells: str) -> Path:
        head = new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]})
        kernel = {"name": "python3", "language": "python", "display_name": "Python 3"}
        nb = new_notebook(
            cells=[new_markdown_cell("# title"), head, *map(new_code_cell, cells)],
            metadata={"kernelspec": kernel, "language_info": {"name": "python"}},
        )
        folder = tmp_path / "source"
        folder.mkdir(exist_ok=True)
        nbformat.write(nb, folder / "small.ipynb")
        return folder / "small.ipynb"

    return write


@pytest.fixture
def nothing_runs(monkeypatch):
    """Any start of an execution fails the test."""
    monkeypatch.setattr("papermill.execute_notebook", lambda *_, **__: pytest.fail("it ran"))


def texts(path: Path) -> str:
    """Everything the executed notebook printed."""
    nb = nbformat.read(path, as_version=4)
    return "".join(o.get("text", "") for c in nb.cells if c.cell_type == "code" for o in c.outputs)


def test_runs_with_its_parameters_in_its_own_folder_under_this_interpreter(notebook, tmp_path, capfd):
    source = notebook(
        "print(epochs * 2, name)", "import os, sys", "print(os.getcwd()); print(sys.executable)"
    )
    output = tmp_path / "runs" / "quick" / "small.ipynb"
    run_notebook(source, output, {"epochs": 21}, label="[1/5]")
    assert texts(output) == f"42 a\n{source.parent}\n{sys.executable}\n"
    assert [p.name for p in output.parent.iterdir()] == ["small.ipynb"]
    shown, complaints = capfd.readouterr()
    assert complaints == ""
    assert (
        "[1/5] small … cell 1/4" in shown
        and "[1/5] small … cell 4/4" in shown
        and "5/4" not in shown
        and "42 a" in shown
    )
    assert "partial" not in output.read_text()


def test_what_a_kernel_reports_of_its_own_state_is_not_shown(notebook, tmp_path, capfd):
    # As when the interrupt before its shutdown reaches a kernel that is still busy with itself.
    source = notebook('get_ipython().kernel.log.error("KeyboardInterrupt caught in kernel.")')
    run_notebook(source, tmp_path / "out.ipynb")
    assert capfd.readouterr().err == ""


def test_progress_inside_a_cell_reaches_the_terminal_and_the_file(notebook, tmp_path, capfd):
    output = tmp_path / "small.ipynb"
    source = notebook("from tpsnet.progress import Progress", 'with Progress(1, "work") as p: p.step("done")')
    run_notebook(source, output)
    assert "work 100 % · 0:00 spent · 0:00 left  done" in capfd.readouterr().out
    assert "work 100 %" in texts(output)


def test_a_registered_kernel_of_the_same_name_is_not_used(notebook, tmp_path, monkeypatch):
    kernel = tmp_path / "data" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    (kernel / "kernel.json").write_text(
        json.dumps({"argv": ["/nonexistent/python"], "display_name": "other", "language": "python"})
    )
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "data"))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "0")
    output = tmp_path / "out.ipynb"
    run_notebook(notebook("print(epochs)"), output)
    assert texts(output) == "3\n"


def test_a_live_widget_leaves_no_state_behind(notebook, tmp_path):
    output = tmp_path / "out.ipynb"
    run_notebook(notebook("import ipywidgets", "ipywidgets.IntSlider()"), output)
    assert "widgets" not in nbformat.read(output, as_version=4).metadata


def test_a_failing_cell_is_one_line_and_keeps_the_partial_notebook(notebook, tmp_path):
    output = tmp_path / "out.ipynb"
    output.write_text("an earlier result")
    with pytest.raises(NotebookFailed) as caught:
        run_notebook(notebook("print('before')", "raise ValueError('too\\nlong')"), output)
    line = str(caught.value)
    assert "ValueError: too" in line and "In [3]" in line and "out.failed.ipynb" in line and "\n" not in line
    assert "before" in texts(tmp_path / "out.failed.ipynb")
    assert output.read_text() == "an earlier result"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.failed.ipynb", "out.ipynb", "source"]
    run_notebook(notebook("print('mended')"), output)
    assert texts(output) == "mended\n" and not (tmp_path / "out.failed.ipynb").exists()


def test_bad_input_that_a_cell_meets_is_bad_input_to_the_runner(notebook, tmp_path):
    source = notebook("from tpsnet.errors import InputError", "raise InputError('x: no such domain')")
    with pytest.raises(InputError, match=r"In \[3\]: x: no such domain \(see .*out.failed.ipynb\)"):
        run_notebook(source, tmp_path / "out.ipynb")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"epoch": 3}, "no parameter 'epoch': did you mean 'epochs'"),
        ({"epochs": "three"}, "'epochs' must be int, not 'three'"),
        ({"epochs": 2.5}, "'epochs' must be int"),
        ({"epochs": True}, "'epochs' must be int"),
        ({"epochs": None}, "'epochs' must be int"),
        ({"rate": "fast"}, "'rate' must be float"),
        ({"name": 3}, "'name' must be str"),
        ({"quick": "yes"}, "'quick' must be bool"),
        ({"quick": 1}, "'quick' must be bool"),
        ({"ks": "1"}, r"'ks' must be list\[int\]"),
        ({"ks": "[1, 'a'"}, r"'ks' must be list\[int\]"),
        ({"ks": [1, 2.5]}, r"'ks' must be list\[int\]"),
    ],
)
def test_a_wrong_parameter_is_refused_before_anything_runs(
    notebook, tmp_path, nothing_runs, parameters, message
):
    output = tmp_path / "runs" / "out.ipynb"
    with pytest.raises(InputError, match=message) as caught:
        run_notebook(notebook("1"), output, parameters)
    assert "small.ipynb" in str(caught.value) and "\n" not in str(caught.value)
    assert not output.parent.exists()


def test_text_from_the_command_line_takes_the_type_of_the_cell(notebook):
    text = {"epochs": "7", "rate": "1e-3", "name": "7", "quick": "True", "ks": "[1, 15]"}
    expected = {"epochs": 7, "rate": 0.001, "name": "7", "quick": True, "ks": [1, 15]}
    typed = check_parameters(notebook(), text)
    assert typed == expected
    assert {name: type(v) for name, v in typed.items()} == {name: type(v) for name, v in expected.items()}
    assert check_parameters(notebook(), {"rate": 2}) == {"rate": 2.0}


@pytest.mark.parametrize(("content", "message"), [(None, "No such file"), ("{", "not a notebook")])
def test_no_notebook_is_one_line(tmp_path, nothing_runs, content, message):
    source = tmp_path / "absent.ipynb"
    if content is not None:
        source.write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        run_notebook(source, tmp_path / "out.ipynb")
    assert "absent.ipynb" in str(caught.value)


def test_the_source_is_never_overwritten(notebook, nothing_runs):
    source = notebook("1")
    before = source.read_text()
    with pytest.raises(InputError, match="overwrite the source"):
        run_notebook(source, source.parent / ".." / "source" / "small.ipynb")
    assert source.read_text() == before


def test_an_output_folder_that_cannot_be_made_is_one_line(notebook, tmp_path, nothing_runs):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot make this folder"):
        run_notebook(notebook("1"), tmp_path / "file" / "out.ipynb")


def test_a_write_that_breaks_off_leaves_the_earlier_result(notebook, tmp_path, monkeypatch):
    def broken_off(path, text, encoding):
        path.write_bytes(b"half")
        raise OSError("no space left on device")

    output = tmp_path / "out.ipynb"
    output.write_text("an earlier result")
    source = notebook()
    monkeypatch.setattr(Path, "write_text", broken_off)
    with pytest.raises(InputError, match=r"cannot write .*out\.ipynb .*no space"):
        run_notebook(source, output)
    assert output.read_text() == "an earlier result"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.ipynb", "source"]


def test_a_reader_of_the_earlier_result_is_not_disturbed(notebook, tmp_path):
    output = tmp_path / "out.ipynb"
    output.write_text("an earlier result")
    with output.open() as reader:
        run_notebook(notebook(), output)
        assert reader.read() == "an earlier result"
