"""Each house rule is broken once in an otherwise good notebook, and only that fault is named."""

import copy

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tools.house_rules import main, navigation, notebook_faults, write_navigation

HEAD = "# 1 · Title: and more\n**Claim** c. **Inputs** i. **Outputs** o. **Minutes** 1."
PARAMETERS = 'epochs: int = 3  # passes\npair: list[str] = ["line", "solid"]'
TAGGED = {"tags": ["parameters"]}
GOOD = new_notebook(
    cells=[
        new_markdown_cell(HEAD),
        new_code_cell(PARAMETERS, metadata=TAGGED),
        new_markdown_cell("Why the next cell."),
        new_code_cell("import torch\n\ntorch.arange(epochs)"),
        new_markdown_cell("What to see."),
    ],
    metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
)


def faults(tmp_path, notebook, name="01_small.ipynb"):
    """Of a notebook that is alone in its folder, its navigation written."""
    nbformat.write(notebook, tmp_path / name)
    write_navigation(tmp_path)
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
    "and the last (navigation)": lambda n: n.cells.append(new_code_cell("1")),
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


def test_a_notebook_without_a_number_and_a_file_that_is_none(tmp_path):
    assert "NN_words" in faults(tmp_path, GOOD, "small.ipynb")[0]
    (tmp_path / "02_broken.ipynb").write_text("{")
    assert list(notebook_faults(tmp_path / "02_broken.ipynb")) == ["not a notebook (format 4)"]


def test_the_navigation_links_all_and_both_neighbours(tmp_path):
    names = {"01_small.ipynb": "1 · Small: a", "02_large.ipynb": "2 · Large", "03_last.ipynb": "3 · Last: c"}
    for name, title in names.items():
        nbformat.write(broken(lambda n, t=title: n.cells[0].update(source=f"# {t}\nIntro.")), tmp_path / name)
    write_navigation(tmp_path)
    first, large, last = (
        f"[{i} {n}]({f})" for i, n, f in zip("123", ("Small", "Large", "Last"), names, strict=True)
    )
    assert (
        navigation(tmp_path / "02_large.ipynb") == f"{first} · **2 Large** · {last}\n\n← {first} | {last} →"
    )
    assert navigation(tmp_path / "01_small.ipynb").endswith(f"\n\n{large} →")
    assert navigation(tmp_path / "03_last.ipynb").endswith(f"\n\n← {large}")
    cells = nbformat.read(tmp_path / "02_large.ipynb", as_version=4).cells
    for cell in (cells[0], cells[-1]):
        assert cell.source.endswith(navigation(tmp_path / "02_large.ipynb"))
    assert cells[0].source.startswith("# 2 · Large\nIntro.") and cells[-1].source.startswith("What to see.")


def test_a_notebook_that_joins_makes_the_navigation_of_the_others_stale_until_it_is_written(tmp_path):
    assert faults(tmp_path, GOOD) == []
    nbformat.write(
        broken(lambda n: n.cells[0].update(source=HEAD.replace("1", "2"))), tmp_path / "02_b.ipynb"
    )
    both = [tmp_path / name for name in ("01_small.ipynb", "02_b.ipynb")]
    assert all("navigation is stale" in "".join(notebook_faults(path)) for path in both)
    write_navigation(tmp_path)
    before = [path.read_bytes() for path in both]
    assert [list(notebook_faults(path)) for path in both] == [[], []]
    write_navigation(tmp_path)
    assert [path.read_bytes() for path in both] == before


def test_the_command_names_file_and_fault_and_ends_with_one(tmp_path, capsys):
    assert faults(tmp_path, GOOD) == []
    assert main([str(tmp_path / "01_small.ipynb")]) == 0
    nbformat.write(broken(CHANGES["does not parse"]), tmp_path / "02_broken.ipynb")
    assert main([str(tmp_path / "02_broken.ipynb")]) == 1
    assert f"{tmp_path / '02_broken.ipynb'}: cell 4: does not parse" in capsys.readouterr().out


@pytest.mark.parametrize(("lines", "warned"), [(400, False), (401, True)])
def test_a_long_python_file_is_a_warning_and_no_failure(tmp_path, capsys, lines, warned):
    (tmp_path / "long.py").write_text("x = 1\n" * lines)
    assert main([str(tmp_path / "long.py")]) == 0
    assert ("warning: 401 lines" in capsys.readouterr().out) is warned
