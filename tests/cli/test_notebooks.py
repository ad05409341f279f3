"""The runner: parameters are checked before anything runs, and the output is whole or absent."""

import json
import os
import sys
from pathlib import Path

import nbformat
import pytest
from hostile import COLOURS, MARKUP
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tpsnet.cli.notebooks import run_notebook
from tpsnet.cli.parameters import check_parameters
from tpsnet.errors import InputError, NotebookFailed
from tpsnet.escape import printable

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


def test_what_a_cell_prints_does_not_act_on_the_terminal(notebook, tmp_path, capfd):
    """The file keeps what was printed; a line break is one, since cells print several lines."""
    output, name = tmp_path / "small.ipynb", f"{MARKUP}\t{COLOURS}"
    run_notebook(notebook(f"print({name!r})"), output)
    assert "\n".join(["", MARKUP + "\tbad", printable(COLOURS).split(r"\n")[1], ""]) in capfd.readouterr().out
    assert texts(output) == f"{name}\n"


def test_an_error_about_a_name_with_a_line_break_is_told_whole(notebook, tmp_path):
    source = notebook("from tpsnet.errors import InputError", f"raise InputError({COLOURS!r} + ': gone')")
    with pytest.raises(InputError) as caught:
        run_notebook(source, tmp_path / "out.ipynb")
    assert f"In [3]: {printable(COLOURS)}: gone (see " in str(caught.value)


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
    executed = nbformat.read(output, as_version=4)
    assert "widgets" not in executed.metadata
    assert [set(shown.data) for shown in executed.cells[-1].outputs] == [{"text/plain"}]


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
    with pytest.raises(InputError, match="cannot write there"):
        run_notebook(notebook("1"), tmp_path / "file" / "out.ipynb")


def test_a_write_that_breaks_off_leaves_the_earlier_result(notebook, tmp_path, monkeypatch):
    def broken_off(path, text, encoding, errors):
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


def test_a_path_is_taken_from_where_the_command_is_typed(tmp_path, notebook, monkeypatch):
    source = notebook("1")
    book = nbformat.read(source, as_version=4)
    names = {"run": "../runs", "root": "", "model": "embedded", "pretrained": "", "name": "a=b"}
    book.cells[1].source = "\n".join(f"{name}: str = {value!r}" for name, value in names.items())
    nbformat.write(book, source)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "weights.safetensors").write_text("")
    given = {
        "run": "runs/x",
        "root": "~/images",
        "model": "local-dir:clip",
        "pretrained": "weights.safetensors",
        "name": "run/x",
    }
    assert check_parameters(source, given, tmp_path) == {
        "run": str(tmp_path / "runs/x"),
        "root": str(tmp_path / "home/images"),
        "model": f"local-dir:{tmp_path / 'clip'}",
        "pretrained": str(tmp_path / "weights.safetensors"),
        "name": "run/x",
    }
    assert check_parameters(source, {"model": "ViT-B-16", "pretrained": "openai", "root": ""}, tmp_path) == {
        "model": "ViT-B-16",
        "pretrained": "openai",
        "root": "",
    }
    assert check_parameters(source, {"run": "runs/x"}) == {"run": "runs/x"}  # as run_all gives it


def test_a_value_with_an_equals_sign_is_a_parameter(tmp_path, notebook, caplog):
    source = notebook("print(name)")
    book = nbformat.read(source, as_version=4)
    book.cells[1].source = "name: str = 'a=b'"
    nbformat.write(book, source)
    run_notebook(source, tmp_path / "out.ipynb", {"name": "c=d"})
    assert texts(tmp_path / "out.ipynb") == "c=d\n" and "unknown parameter" not in caplog.text


def test_braces_in_a_path_are_braces(tmp_path, notebook):
    source = notebook("print(epochs)")
    odd = source.with_name("a{b}{0}.ipynb")
    source.rename(odd)
    run_notebook(odd, tmp_path / "{run}" / "o{c}.ipynb", {"epochs": 4})
    assert texts(tmp_path / "{run}" / "o{c}.ipynb") == "4\n"


def test_a_place_that_cannot_be_written_is_refused_before_anything_runs(tmp_path, notebook, nothing_runs):
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=r"folder is a folder; give a file, e\.g\. .*folder/small\.ipynb"):
        run_notebook(notebook("1"), tmp_path / "folder")
    with pytest.raises(InputError, match=r"null: cannot write there|File name too long|cannot write there"):
        run_notebook(notebook("1"), Path("/proc/none/out.ipynb"))
    assert list((tmp_path / "folder").iterdir()) == []


def test_work_that_cannot_be_written_at_the_end_is_kept_and_named(tmp_path, notebook):
    source = notebook("print(41 + 1)", "from pathlib import Path\nPath('../out.ipynb').mkdir()")
    with pytest.raises(InputError, match=r"cannot write .*out\.ipynb .*kept as .*out\.executed\.ipynb"):
        run_notebook(source, tmp_path / "out.ipynb")
    assert texts(tmp_path / "out.executed.ipynb") == "42\n"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.executed.ipynb", "out.ipynb", "source"]


def test_a_name_near_the_limit_is_written(tmp_path, notebook):
    name = "x" * 240 + ".ipynb"
    run_notebook(notebook("print(1)"), tmp_path / name)
    assert texts(tmp_path / name) == "1\n"


def test_what_a_cell_prints_has_an_end(tmp_path, notebook, capfd):
    source = notebook("for i in range(40): print('x' * 100_000)", "print('after')")
    run_notebook(source, tmp_path / "out.ipynb")
    printed = texts(tmp_path / "out.ipynb")
    assert len(printed) < 250_000 and printed.endswith("after\n")
    assert printed.count("the rest is left out") == 1
    assert len(capfd.readouterr().out) < 250_000


def test_what_is_no_file_is_not_replaced_and_a_link_leads_to_its_file(tmp_path, notebook, nothing_runs):
    os.mkfifo(tmp_path / "pipe.ipynb")
    with pytest.raises(InputError, match="no regular file"):
        run_notebook(notebook("1"), tmp_path / "pipe.ipynb")
    assert (tmp_path / "pipe.ipynb").is_fifo()
