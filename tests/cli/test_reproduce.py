"""``tpsnet reproduce``: a preset's rows on a generated tree, killed twice, and what it refuses."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
from pictures import write_tree

from tpsnet import cli
from tpsnet.cli import reproduce
from tpsnet.data import DATASETS

CLASSES = ("Alarm_Clock", "Bike", "Chair", "Mug")
EACH = 6  # images of a class; --few keeps five
DOMAINS = ("Art", "Clipart", "Product", "Real World")
PARTS = (
    "--rows",
    "UEM",
    "frozen CLIP",
    "--pairs",
    "Art:Clipart",
    "Product:Real",
    "--protocols",
    "closed",
    "open",
)


@pytest.fixture(scope="session")
def office_home(tmp_path_factory) -> Path:
    """Four domains of four classes in Office-Home's own layout, with more images than ``--few`` keeps."""
    root = tmp_path_factory.mktemp("downloads") / "OfficeHomeDataset_10072016"
    return write_tree(root, dict.fromkeys(DOMAINS, CLASSES), each=EACH).parent


@pytest.fixture
def line(office_home, small_clip):
    """Arguments of a short reproduction."""

    def arguments(run: Path, *more: str) -> list[str]:
        where = ["--root", str(office_home), "--run", str(run), "--model", small_clip, "--device", "cpu"]
        return ["reproduce", "office_home", *where, "--seeds", "0", "--workers", "1", "--any-count", *more]

    return arguments


@pytest.fixture
def one_thread():
    """Bits are those of a child process with one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def results(folder: Path) -> dict[str, dict]:
    """Rows without the time that they took, by what made them."""
    rows = map(json.loads, (folder / "rows.jsonl").read_text().splitlines())
    return {
        json.dumps(row["made_with"], sort_keys=True): {k: row[k] for k in ("name", "pair", "directions")}
        for row in rows
    }


def killed(arguments: list[str], rows: Path, after: int) -> None:
    """Start it, and kill it as soon as so many rows are there."""
    program = [sys.executable, "-m", "tpsnet.cli", *arguments]
    process = subprocess.Popen(program, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and not (rows.is_file() and rows.read_text().count("\n") >= after):
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def test_a_sweep_that_is_killed_twice_ends_as_an_undisturbed_one(line, tmp_path, one_thread, capsys):
    """Two pairs under two protocols; killed after the first row, and again after the fifth."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert cli.main(line(whole, *PARTS)) == 0
    for after in (1, 5):
        killed(line(broken, *PARTS), broken / "rows.jsonl", after)
        assert after <= len(results(broken)) < 8 and not (broken / "results.md").exists()
    kept = results(broken)
    assert cli.main(line(broken, *PARTS)) == 0
    assert results(broken) == results(whole) and kept.items() <= results(broken).items() and len(kept) >= 5
    for page in ("results.md", "results.csv", "results.tex"):
        assert (broken / page).read_bytes() == (whole / page).read_bytes()
    page = (whole / "results.md").read_text()
    assert "| query → gallery | Art → Clipart | Clipart → Art | Product → Real World |" in page
    assert "no published figure is beside them" in page and "Not run: TPSNet; " in page and "[1]" not in page
    before = (whole / "rows.jsonl").read_bytes()
    assert cli.main(line(whole, *PARTS)) == 0 and (whole / "rows.jsonl").read_bytes() == before


def test_a_whole_download_has_the_papers_figures_beside_it(line, tmp_path, monkeypatch, capsys):
    facts = DATASETS["office-home"].domains
    short = {
        "classes": CLASSES,
        "domains": tuple(type(f)(f.name, f.known_as, len(CLASSES) * EACH) for f in facts),
    }
    monkeypatch.setitem(DATASETS, "office-home", dataclasses.replace(DATASETS["office-home"], **short))
    run = [
        a
        for a in line(tmp_path / "run", "--rows", "frozen CLIP", "--pairs", "Art:Real")
        if a != "--any-count"
    ]
    assert cli.main(run) == 0
    page = (tmp_path / "run" / "results.md").read_text()
    assert "| 89.53 |" in page and "## Receipt" in page and "## Partial: mAP" in page
    frame = pd.read_csv(tmp_path / "run" / "results.csv")
    assert set(frame["origin"]) == {"here", "paper"} and "mean of 2" in set(frame["direction"])
    assert not set(frame.query("origin == 'here'")["direction"]) & {"mean"}
    assert r"\toprule" in (tmp_path / "run" / "results.tex").read_text()
    assert "Art: 24 images" in capsys.readouterr().out
    few = [*run[:5], str(tmp_path / "few"), *run[6:], "--few"]
    assert cli.main(few) == 0 and "89.53" not in (tmp_path / "few" / "results.md").read_text()
    assert "Art: 20 images" in capsys.readouterr().out
    part = results(tmp_path / "few")
    cards = [d["card"] for row in part.values() for d in row["directions"]]
    assert max(card["n_query"] for card in cards) == max(card["n_gallery"] for card in cards) == 20
    other = tmp_path / "other"
    shutil.copytree(run[3], other)
    assert cli.main([*few[:3], str(other), *few[4:]]) == 2
    assert "links to images of another folder" in capsys.readouterr().err
    more = [a for a in few if a not in ("--pairs", "Art:Real")]
    assert cli.main(more) == 0 and part.items() <= results(tmp_path / "few").items()
    assert len({name for row in results(tmp_path / "few").values() for name in row["pair"]}) == 4
    shutil.rmtree(tmp_path / "few" / "images" / "Product")
    assert cli.main(more) == 2 and "images was made without Product" in capsys.readouterr().err


def test_training_starts_from_a_preset_on_a_tree_of_its_data_set(office_home, tmp_path, capsys):
    run = tmp_path / "run"
    line = ["train", str(run), "--preset", "office_home", "--root", str(office_home), "--model", "embedded"]
    assert cli.main([*line, "--device", "cpu", "--epochs", "1", "--prompt-epochs", "1"]) == 0
    config = json.loads((run / "config.json").read_text())
    assert config["pair"] == ["Art", "Clipart"] and config["source"]["dataset"] == "office-home"
    rows = json.loads((run / "scores.json").read_text())["rows"]
    assert rows[-1]["name"] == "TPSNet" and rows[-1]["directions"][0]["card"]["n_query"] == 24
    assert "P@15" in rows[-1]["directions"][0]["metrics"]


def changed(line: list[str], **values: str) -> list[str]:
    line = list(line)
    for option, value in values.items():
        line[line.index(f"--{option}") + 1] = value
    return line


def test_bad_input_is_one_line_and_leaves_nothing(line, office_home, tmp_path, capsys):
    run = tmp_path / "run"
    plain = [a for a in line(run) if a != "--any-count"]
    half = shutil.copytree(office_home, tmp_path / "half")
    shutil.rmtree(half / "OfficeHomeDataset_10072016" / "Product")
    torn = shutil.copytree(office_home, tmp_path / "torn")
    for name in ("0.png", "1.png"):  # --few leaves out one image of six
        (torn / "OfficeHomeDataset_10072016" / "Art" / "Mug" / name).write_bytes(b"half")
    for arguments, message in (
        (plain, "this Office-Home is not whole, see above; get it from"),
        (changed(line(run), root=str(tmp_path / "nowhere")), "nowhere"),
        (changed(line(run), root=str(tmp_path)), "no domain of Office-Home in it"),
        (changed(line(run), root=str(half)), "no domain 'Product' of Office-Home"),
        ([*line(run), "--pairs", "Art:Cliprat"], "has no domain 'Cliprat'; did you mean 'Clipart'?"),
        ([*line(run), "--pairs", "Art"], "FIRST:SECOND"),
        ([*line(run), "--rows", "TPS"], "Office-Home: no row 'TPS'; there are"),
        ([*line(run), "--protocols", "opda"], "Office-Home: no protocol 'opda'; there are closed"),
        ([*line(run), "--moco", str(tmp_path / "absent.pth")], "absent.pth"),
        ([*line(run), "--pretrained", "openai"], "has its own weights"),
        (["reproduce", "ofice-home"], "no preset 'ofice-home'; did you mean 'office_home'?"),
        (["reproduce", "--root", str(office_home)], "embedded drawings and CLIP: leave out --root"),
    ):
        assert cli.main(arguments) == 2, arguments
        error = capsys.readouterr().err.splitlines()[-1]
        assert error.startswith("tpsnet: ") and message in error and not run.exists(), error
    few = changed([a for a in line(run, "--few") if a != "--any-count"], root=str(torn))
    assert cli.main(few) == 2 and "images cannot be used" in capsys.readouterr().err
    assert not (run / "rows.jsonl").exists()


@pytest.mark.parametrize("pair", ["line:zz", "line", "line:line"])
def test_the_embedded_preset_checks_its_pairs_before_the_notebooks(pair, tmp_path, monkeypatch, capsys):
    ran = []
    monkeypatch.setattr(reproduce, "run_all", lambda *where: ran.append(where))
    assert cli.main(["reproduce", "--run", str(tmp_path / "run"), "--pairs", pair]) == 2
    assert not ran and pair.split(":")[-1] in capsys.readouterr().err


def test_without_a_name_notebooks_and_two_pairs_are_made_as_ever(tmp_path, monkeypatch):
    asked, ran = [], []
    monkeypatch.setattr(reproduce, "run_all", lambda *where: ran.append(where))
    monkeypatch.setattr(reproduce.TableOfResults, "__call__", lambda self: asked.append(self))
    assert cli.main(["reproduce"]) == 0
    ((books, folder),) = ran
    assert (str(books), str(folder)) == ("notebooks", "runs/reproduce") and asked[0].folder == folder
    filling = asked[0].filling
    assert filling.pairs == ("line:shaded", "flat:rendered") and filling.seeds == (0,) and not filling.coarse
