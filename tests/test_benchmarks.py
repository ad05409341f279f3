"""Every benchmark runs in small and prints a table."""

from importlib import import_module
from inspect import signature
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
IN_A_BROWSER = {"browser"}  # its pages are held by tests/browser


@pytest.mark.parametrize("name", sorted({file.stem for file in FOLDER.glob("*.py")} - IN_A_BROWSER))
def test_it_runs_in_small_and_prints_a_table(name, capsys):
    module = import_module(f"benchmarks.{name}")
    where = {"device": "cpu"} if "device" in signature(module.main).parameters else {}
    module.main(quick=True, **where)
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    widths = {line.count("|") for line in rows[:3]}
    assert len(rows) >= 3 and len(widths) == 1 and rows[1].startswith("| --- |")
