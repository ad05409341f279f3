"""Each notebook runs with its defaults, and its executed file shows its images anywhere."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tools.jupyter import chromium_file
from tpsnet.cli.parameters import check_parameters

SOURCES = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
PLOTLY = "application/vnd.plotly.v1+json"


def code_cells(path):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def test_their_numbers_are_contiguous():
    assert SOURCES
    assert [path.name[:2] for path in SOURCES] == [f"{i:02}" for i in range(1, len(SOURCES) + 1)]


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_each_takes_the_run_folder_of_all(source):
    assert check_parameters(source, {"run": "../runs/other"}) == {"run": "../runs/other"}


@pytest.mark.parametrize("name", [path.stem for path in SOURCES])
def test_the_executed_file(executed_notebooks, name):
    path = executed_notebooks[name]
    assert path.stat().st_size < 1_000_000
    assert "widgets" not in nbformat.read(path, as_version=4).metadata
    outputs = [output for cell in code_cells(path) for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    shown = [output.data for output in outputs if "data" in output]
    # Without these two kinds nothing is drawn when the file is reopened elsewhere, untrusted.
    assert any(PLOTLY in data or "image/png" in data for data in shown)
    for data in shown:
        if PLOTLY in data:
            assert "image/png" in data or chromium_file() is None
            assert "sendChartToCloud" in data[PLOTLY]["config"]["modeBarButtonsToRemove"]
        assert "application/vnd.jupyter.widget-view+json" not in data
        assert "<script" not in data.get("text/html", "")


def test_the_comparison_loads_no_model(executed_notebooks):
    """Neither when it is executed, which takes below two minutes, nor by what its cells import."""
    (path,) = (path for name, path in executed_notebooks.items() if name.endswith("compare_methods"))
    assert nbformat.read(path, as_version=4).metadata.papermill.duration < 120
    imports = next(cell.source for cell in code_cells(path) if "import" in cell.source)
    models = "'open_clip', 'tpsnet.backbone', 'tpsnet.methods'"
    program = f"{imports}\nimport sys\nprint([m for m in ({models}) if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stdout + done.stderr
