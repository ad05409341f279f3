"""Sixty photographs of one's own, from the folder to a report, by the commands that each step names."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import nbformat
from pictures import write_tree
from PIL import Image

ROOT = Path(__file__).parents[1]


def tpsnet(*arguments: str, folder: Path) -> str:
    command = [sys.executable, "-m", "tpsnet.cli", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_a_day_with_sixty_photographs(tmp_path):
    names = ("mug", "lamp", "shoe", "chair", "plant", "book")
    root = write_tree(tmp_path / "own images", {"photo": names, "sketch": names}, each=5, side=64)
    for file in root.rglob("*.png"):
        Image.open(file).resize((640, 480)).save(file.with_suffix(".jpg"))
        file.unlink()
    Image.open(root / "sketch" / "mug" / "0.jpg").rotate(5).save(tmp_path / "new.jpg")

    counts = tpsnet("prepare", root.name, "--size", "64", folder=tmp_path)
    assert "photo: 30 images of 6 classes" in counts
    short = ("--root", root.name, "--prompt-epochs", "1", "--epochs", "5")
    for run, seed in (("a run", "0"), ("another", "1")):
        said = tpsnet("train", "sketch", "photo", run, *short, "--seed", seed, folder=tmp_path)
    assert "wrote another" in said
    assert len(tpsnet("search", "a run", "new.jpg", "-k", "3", folder=tmp_path).splitlines()) == 3
    assert len(tpsnet("search", "a run", "--text", "a mug", "-k", "2", folder=tmp_path).splitlines()) == 2

    following = [line.removeprefix("next:").strip() for line in said.splitlines() if " tpsnet " in line]
    assert [shlex.split(line)[1] for line in following] == ["report", "search", "run", "run"]
    for line in following[2:]:  # what was printed is what runs, from the folder where it was printed
        _, _, source, output, *given = shlex.split(line)
        tpsnet("run", source, output, *given, "-p", f"run={tmp_path / 'nb'}", folder=tmp_path)
        assert nbformat.read(tmp_path / output, as_version=4).metadata.papermill.exception is None
    wrote = tpsnet("report", "a run", "another", folder=tmp_path)
    assert re.match(r"wrote a run/report.html \(\d+\.\d MB, opens without a network\)", wrote)
    assert "another" in (tmp_path / "a run" / "report.html").read_text()
