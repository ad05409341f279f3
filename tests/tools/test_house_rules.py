"""Each house rule is broken once in an otherwise good notebook, and only that fault is named."""

import copy

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tools.house_rules import file_faults, main, notebook_faults

HEAD = "# Title\n**Claim** c. **Inputs** i. **Outputs** o. **Minutes** 1."
PARAMETERS = 'epochs: int = 3  # passes\npair: list[str] = ["line", "solid"]'
TAGGED = {"tags": ["parameters"]}
GOOD = new_notebook(
    cells=[
        new_markdown_cell(HEAD),
        new_code_cell(PARAMETERS, metadata=TAGGED),
        new_markdown_cell("Why the next cell."),
        new_code_cell("import torch\n\ntorch.arange(epochs)"),
    ],
    metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
)


def faults(tmp_path, notebook, name="01_small.ipynb"):
    nbformat.write(notebook, tmp_path / name)
    return list(notebook_faults(tmp_path / name))


def broken(change):
    notebook = copy.deepcopy(GOOD)
    change(notebook)
    return notebook


def test_a_good_notebook_has_no_fault(tmp_path):
    assert faults(tmp_path, GOOD) == []


CHANGES = {
    "has outputs": lambda n: n.cells[3].outputs.append(new_output("stream", text="x")),
    "execution count": lambda n: n.cells[3].update(execution_count=1),
    "metadata.widgets": lambda n: n.metadata.update(widgets={}),
    "kernelspec": lambda n: n.metadata.pop("kernelspec"),
    "first cell must be markdown": lambda n: n.cells.pop(0),
    "does not state: claim, minute": lambda n: n.cells[0].update(source="Inputs and outputs"),
    "tagged `parameters`": lambda n: n.cells[1].metadata.pop("tags"),
    "no other, must be tagged": lambda n: n.cells[3].metadata.update(TAGGED),
    "13 code cells": lambda n: n.cells.extend(new_code_cell("1") for _ in range(11)),
    "cell 4: 13 lines": lambda n: n.cells[3].update(source="\n".join(["1"] * 13)),
    "defines `f`": lambda n: n.cells[3].update(source="if True:\n    def f(): pass"),
    "defines `g`": lambda n: n.cells[3].update(source="async def g(): pass"),
    "defines `C`": lambda n: n.cells[3].update(source="class C: pass"),
    "sys.path": lambda n: n.cells[3].update(source="import sys\nsys.path.append('..')"),
    "shell or magic": lambda n: n.cells[3].update(source="import torch\n!pip install torch"),
    "cell 4: a shell or magic": lambda n: n.cells[3].update(source="%pip install torch"),
    "does not parse": lambda n: n.cells[3].update(source="for"),
    "`epochs = 3` is not a typed": lambda n: n.cells[1].update(source="epochs = 3"),
    "is not a typed assignment on one line": lambda n: n.cells[1].update(source="ks: list[int] = [\n1]"),
    "a line with two =": lambda n: n.cells[1].update(source="epochs: int = 3  # 0 = none"),
    "use int, float": lambda n: n.cells[1].update(source="epochs: int | None = None"),
    "must be a plain value": lambda n: n.cells[1].update(source="epochs: int = len('abc')"),
}


@pytest.mark.parametrize("fault", CHANGES)
def test_each_rule(tmp_path, fault):
    found = faults(tmp_path, broken(CHANGES[fault]))
    assert len(found) == 1 and fault in found[0]


def test_the_limits_themselves_are_allowed(tmp_path):
    def at_the_limit(n):
        n.cells.extend(new_code_cell("\n".join(["1"] * 12)) for _ in range(10))

    assert faults(tmp_path, broken(at_the_limit)) == []


def test_a_notebook_without_a_number_and_a_file_that_is_none(tmp_path):
    assert "NN_words" in faults(tmp_path, GOOD, "small.ipynb")[0]
    (tmp_path / "02_broken.ipynb").write_text("{")
    assert list(notebook_faults(tmp_path / "02_broken.ipynb")) == ["not a notebook (format 4)"]


@pytest.mark.parametrize(("lines", "n_faults"), [(250, 0), (251, 1)])
def test_file_length(tmp_path, lines, n_faults):
    (tmp_path / "long.py").write_text("x = 1\n" * lines)
    assert len(list(file_faults(tmp_path / "long.py"))) == n_faults


def test_the_command_names_file_and_fault_and_ends_with_one(tmp_path, capsys):
    nbformat.write(GOOD, tmp_path / "01_small.ipynb")
    assert main([str(tmp_path / "01_small.ipynb")]) == 0
    (tmp_path / "long.py").write_text("x = 1\n" * 251)
    assert main([str(tmp_path / "01_small.ipynb"), str(tmp_path / "long.py")]) == 1
    assert f"{tmp_path / 'long.py'}: 251 lines" in capsys.readouterr().out
