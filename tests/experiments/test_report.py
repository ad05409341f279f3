"""A report of runs: what it holds, and that it needs nothing but itself."""

import json
import re
from html import escape

import pytest
from hostile import COLOURS, MARKUP, text
from pictures import write_tree

from tpsnet.cli import main
from tpsnet.errors import InputError
from tpsnet.escape import printable
from tpsnet.experiments import Closed, Experiment, Source
from tpsnet.experiments.report import write_report
from tpsnet.methods import FrozenConfig, TPSNetConfig

HOSTILE = "<script>alert(1)<"  # as a folder, so without a slash


@pytest.fixture(scope="module")
def runs(tmp_path_factory, small_clip):
    """Two runs on the same images, one of them a training; a class has a hostile name."""
    place = tmp_path_factory.mktemp("report")
    names = ("bee", "cat", HOSTILE)
    root = write_tree(place / "images", {"flat": names, "line": names})
    source = Source(root=root, model=small_clip)
    for name, config in {
        "first": TPSNetConfig(clusters=3, prompt_epochs=1, epochs=1),
        "second": FrozenConfig(),
    }.items():
        Experiment(("flat", "line"), config, Closed(ks=(1, 5)), source=source).run(place / name)
    return place / "first", place / "second"


def test_a_report_holds_scores_curves_rankings_failures_maps_and_configuration(runs, tmp_path):
    write_report(runs, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    for heading in ("Scores", "Training", "The best queries", "The worst queries", "Failures", "Map"):
        assert re.search(f"<h2>{heading}", text), heading
    assert "Frozen, flat ↔ line (second) beside TPSNet, flat ↔ line (first)" in text
    assert (
        "<td>TPSNet</td>" in text and "mean over queries" in text and "&quot;prompt_epochs&quot;: 1" in text
    )
    assert len(text) < 15_000_000


def test_a_single_run_is_compared_with_its_strongest_baseline(runs, tmp_path):
    """That of the highest mAP as embedded, worked out here from the scores."""
    write_report(runs[:1], tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    best = {}
    for row in json.loads((runs[0] / "scores.json").read_text())["rows"]:
        if row["name"] != "TPSNet":
            best[row["name"]] = sum(d["metrics"]["mAP"] for d in row["directions"])
    name = max(best, key=best.get)
    assert f"<h2>TPSNet, flat ↔ line (first) beside {name}</h2>" in text
    for words in ("Gained", "Lost"):
        for side in (name, "TPSNet, flat ↔ line (first)"):
            assert f"<h3>{words}, as {escape(side)} answers</h3>" in text
    write_report(runs[1:], tmp_path / "report.html")  # what is not trained has nothing to beat
    assert not re.search("<h2>.* beside ", (tmp_path / "report.html").read_text())


def test_names_stay_text_and_nothing_is_fetched(runs, tmp_path):
    write_report(runs[:1], tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    own = re.sub(r"<script>/\*.*?</script>", "", text, count=1, flags=re.S)  # Plotly's own code apart
    assert HOSTILE not in own and "&lt;script&gt;alert(1)&lt;" in own
    assert not re.search(r"(src|href)=.?https?:", own)


def test_hostile_domains_classes_and_run_folders_stay_text(tmp_path, small_clip):
    pair, classes = (MARKUP, f"*{COLOURS}*"), (f"a|{MARKUP}", COLOURS)
    root = write_tree(tmp_path / "images", dict.fromkeys(pair, classes), each=3)
    run, source = tmp_path / f"'{MARKUP}{COLOURS}", Source(root=root, model=small_clip)
    Experiment(pair, FrozenConfig(), Closed(ks=(1,)), source=source).run(run)
    write_report([run], tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    own = re.sub(r"<script>.*?</script>", "", page, flags=re.S)  # Plotly's code and ours
    assert "<img src=x" not in own and not re.search(r"[\x1b\u202e]", own)
    name = printable(f"Frozen, {' ↔ '.join(pair)} ({run.name})")
    assert f"<title>{escape(name)}</title>" in page and f"<h3>{escape(name)}</h3>" in page
    (data,) = re.findall("<script type=application/json>(.*?)</script>", page, re.S)
    assert printable(f"{COLOURS} ({MARKUP})") in json.loads(data)["names"]
    read = text(own)
    for shown in (f"1. a|{MARKUP}: ", f"1. {printable(COLOURS)}: ", MARKUP):
        assert shown in read, shown


def test_a_run_below_its_baseline_says_so(runs, tmp_path, monkeypatch):
    monkeypatch.setattr("tpsnet.experiments.report.shortfalls", lambda rows: ["TPSNet ends 11.8 mAP below"])
    write_report(runs[:1], tmp_path / "report.html")
    assert "<p class=note role=note>TPSNet ends 11.8 mAP below</p>" in (tmp_path / "report.html").read_text()


def test_the_command_says_where_it_wrote(runs, capsys):
    assert main(["report", str(runs[0])]) == 0
    assert capsys.readouterr().out.startswith(f"wrote {runs[0] / 'report.html'} (")
    assert (runs[0] / "report.html").is_file()


def test_what_is_no_run_is_one_line(tmp_path, runs, capsys):
    assert main(["report", str(tmp_path)]) == 2
    assert "no scores.json here" in capsys.readouterr().err
    assert main(["report"]) == 2
    with pytest.raises(InputError, match="cannot write"):
        write_report(runs[:1], tmp_path)
