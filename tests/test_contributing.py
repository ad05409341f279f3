"""CONTRIBUTING.md, carried out: the method that it adds is there for the shell, for tables and for pages."""

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from pictures import write_tree

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCK = re.compile(r'^( *)```(python|diff) title="([^"]+)"\n(.*?)^\1```$', re.MULTILINE | re.DOTALL)
TABLE = """
import sys
from pathlib import Path
from tpsnet.experiments import BASELINES, Closed, Source, Table, fill, variants
from tpsnet.report import results_markdown
rows = (*BASELINES.values(), *variants("Linear"))
source = Source(Path(sys.argv[1]), sys.argv[2])
table = Table(Path("table"), source, (("flat", "line"),), (0,), rows, protocols=(Closed(ks=(1, 5)),))
print(results_markdown(fill(table)))
"""


def added(text: str, patch: str) -> str:
    """The text with the lines that start with + put where the lines around them stand together."""
    lines = patch.splitlines()
    old = "\n".join(line[1:] for line in lines if not line.startswith("+"))
    new = "\n".join(line[1:] for line in lines)
    assert text.count(old) == 1, f"CONTRIBUTING.md names lines that are not there: {old}"
    return text.replace(old, new)


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> Path:
    """A folder with a copy of the package in which the documented steps are done."""
    folder = tmp_path_factory.mktemp("contributed")
    shutil.copytree(ROOT / "tpsnet", folder / "tpsnet", ignore=shutil.ignore_patterns("__pycache__"))
    steps = BLOCK.findall(PAGE)
    assert len(steps) >= 5
    for _, kind, name, body in steps:
        file, body = folder / name, textwrap.dedent(body)
        file.write_text(body if kind == "python" else added(file.read_text(), body), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def python(package):
    """Run Python with that copy of the package."""

    def call(*arguments: str) -> str:
        env = os.environ | {"PYTHONPATH": str(package)}
        done = subprocess.run(
            [sys.executable, *arguments], capture_output=True, text=True, env=env, cwd=package
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout

    return call


def test_the_method_that_is_added_trains_and_searches_from_the_shell(python, package, small_clip):
    classes = ("ant", "bee", "cat")
    root = write_tree(package / "images", {"flat": classes, "line": classes}, each=6)
    train = ["train", "flat", "line", "run", "--method", "Linear", "--root", str(root), "--model", small_clip]
    shown = python("-m", "tpsnet.cli", *train, "--lr", "3e-3", "--epochs", "1", "--ks", "1", "5")
    assert "flat → line  Linear" in shown
    found = python("-m", "tpsnet.cli", "search", "run", str(root / "flat/bee/1.png"), "-k", "2")
    assert len(found.splitlines()) == 2
    page = python("-c", TABLE, str(root), small_clip)
    assert re.search(r"^\| Linear \|", page, re.MULTILINE) and "| frozen CLIP |" in page


def test_the_added_file_keeps_the_rules_of_style(package):
    """As `make check` asks for."""
    for verb in (["check"], ["format", "--check"]):
        command = [sys.executable, "-m", "ruff", *verb, "--config", str(ROOT / "pyproject.toml")]
        done = subprocess.run(
            [*command, str(package / "tpsnet/methods/linear.py")], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout


def test_every_file_that_the_page_names_is_there():
    named = set(re.findall(r"`((?:tpsnet|tests|tools)/[a-z_/]+\.py)`", PAGE))
    assert len(named) >= 8
    assert not [name for name in named if not (ROOT / name).is_file()]
