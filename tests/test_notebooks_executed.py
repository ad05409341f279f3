"""Each notebook runs with its defaults, and its executed file shows its pictures anywhere."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

SOURCES = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
PLOTLY = "application/vnd.plotly.v1+json"


def code_cells(path):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def test_all_are_there_in_order():
    assert [path.name[:2] for path in SOURCES] == ["01", "02", "03", "04", "05", "06", "07"]


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
        if data.get("text/plain", "").startswith(("Figure(", "FigureWidget(")):
            assert PLOTLY in data
        if "application/vnd.jupyter.widget-view+json" in data:
            assert data.keys() & {PLOTLY, "image/png", "text/html"}, data["text/plain"]


def test_the_sources_run_cell_by_cell(executed_notebooks, tmp_path):
    """Under nbval, where each cell is a test, on the copies and beside the runs of the first execution."""
    folder = next(iter(executed_notebooks.values())).parents[1] / "notebooks"
    flags = ["--nbval-lax", "--nbval-current-env", "-q", "-p", "no:cacheprovider", "-c", "/dev/null"]
    command = [sys.executable, "-m", "pytest", *flags, "--rootdir", str(folder), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    cells = sum(len(code_cells(path)) for path in SOURCES)
    assert done.returncode == 0 and f"{cells} passed" in done.stdout, done.stdout[-3000:]
