"""Each cell of each notebook is a test under nbval, with small parameters."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat

SOURCES = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
SMALL = {
    "prompt_epochs": "2",
    "epochs": "1",
    "classes": "6",
    "seen": "10",
    "pairs_measured": "50",
    "images_seen": "50",
    "run": '"../runs/small"',
}


def test_the_sources_run_cell_by_cell(tmp_path):
    folder = tmp_path / "notebooks"
    folder.mkdir()
    cells = 0
    for source in SOURCES:
        notebook = nbformat.read(source, as_version=4)
        first, *others = (cell for cell in notebook.cells if cell.cell_type == "code")
        cells += 1 + len(others)
        for name, value in SMALL.items():
            first.source = re.sub(rf"^({name}: \w+) = .*", rf"\1 = {value}", first.source, flags=re.MULTILINE)
        nbformat.write(notebook, folder / source.name)
    flags = ["--nbval-lax", "--nbval-current-env", "-q", "-p", "no:cacheprovider", "-c", "/dev/null"]
    command = [sys.executable, "-m", "pytest", *flags, "--rootdir", str(folder), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0 and f"{cells} passed" in done.stdout, done.stdout[-3000:]
