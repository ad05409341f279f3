"""Ours beside the published figures: one frame by hand, as Markdown, CSV and LaTeX."""

import io
import re

import pandas as pd
import pytest
from hostile import MARKUP, NAMES
from test_report import direction

from tpsnet.report import published, reproduction, reproduction_latex, reproduction_markdown
from tpsnet.report.reproduction import sheets

WAYS = [("Art", "Clipart"), ("Clipart", "Art"), ("Art", "Product")]
REPORTED = {"closed": [" → ".join(way) for way in WAYS[:2]]}


def row(name: str, seed: int, *values: float, ways=WAYS, protocol: str = "closed") -> dict:
    told = {"seeds": () if name == "frozen CLIP" else (seed,), "label_spaces": protocol}
    found = [direction(w, {"mAP": v, "P@1": v}, **told) for w, v in zip(ways, values, strict=False)]
    return {"name": name, "seed": seed, "pair": list(ways[0]), "protocol": protocol} | {
        "directions": found,
        "machine": "a laptop",
    }


ROWS = [row("frozen CLIP", 0, 30.0, 40.0), row("TPSNet", 0, 50.0, 60.0), row("TPSNet", 1, 54.0, 60.0)]
FIGURES = published("office-home", "closed")


def cell(frame: pd.DataFrame, name: str, way: str, metric: str = "mAP", origin: str = "here") -> list[float]:
    chosen = frame.query("name == @name and direction == @way and metric == @metric and origin == @origin")
    return chosen[chosen["ranking"] == "as embedded"]["value"].tolist()


def test_numbers_by_hand():
    """Seed by seed first: (50 + 60) / 2 and (54 + 60) / 2 are 56.0 ± 1.4."""
    frame = reproduction(ROWS, FIGURES, REPORTED)
    assert cell(frame, "TPSNet", "Art → Clipart") == [52.0] and cell(frame, "frozen CLIP", "mean") == [35.0]
    (mean,) = frame.query(
        "name == 'TPSNet' and direction == 'mean' and metric == 'mAP' and ranking == 'as embedded'"
    ).itertuples()
    assert (mean.value, mean.seeds) == (56.0, "0, 1") and mean.std == pytest.approx(2**0.5)
    assert cell(frame, "UEM", "Art → Clipart", origin="paper") == [38.5]
    assert cell(frame, "TPSNet", "Art → Product", "P@1", "paper") == [81.17]


def test_a_mean_over_fewer_directions_has_a_column_of_its_own():
    frame = reproduction([row("TPSNet", 0, 50.0)], FIGURES, REPORTED)
    assert cell(frame, "TPSNet", "mean of 1") == [50.0] and not cell(frame, "TPSNet", "mean")
    (first, *_) = sheets(frame, REPORTED)
    assert list(first.cells.columns)[-2:] == ["mean", "mean of 1"]
    ours = first.cells.loc["TPSNet"]
    assert ours["mean of 1"] == "50.0" and pd.isna(ours["mean"])


def test_a_direction_that_is_not_reported_is_in_no_mean():
    frame = reproduction([row("TPSNet", 0, 50.0, 60.0, 90.0)], FIGURES[:0], REPORTED)
    assert cell(frame, "TPSNet", "mean") == [55.0] and cell(frame, "TPSNet", "Art → Product") == [90.0]


def test_the_page_marks_papers_and_says_whose_settings_they_are():
    page = reproduction_markdown(
        "Office-Home", reproduction(ROWS, FIGURES, REPORTED), ROWS, FIGURES, REPORTED, ["A note."]
    )
    table = page.split("## Closed: mAP")[1].split("\n## ")[0]
    assert "| TPSNet | 52.0 ± 2.8 | 60.0 ± 0.0 |" in table and "| frozen CLIP | 30.0 | 40.0 |" in table
    number = re.search(r"\| UEM \\?\[(\d)\\?\] \| 38\.5 \|", table).group(1)
    receipt = page.split("## Receipt")[1].split("\n## ")[0]
    (line,) = (line for line in receipt.splitlines() if f"[{number}" in line)
    assert "Table 5" in line and "2e-4 to 0 by a cosine" in line and "| not printed | not printed |" in line
    assert "89.53" in page.split("## Closed: P@1")[1] and "51.68" in page and "A note." in page


def test_no_figure_of_other_images_or_another_protocol_stands_beside_ours():
    frame = reproduction(ROWS, FIGURES[:0], REPORTED)
    page = reproduction_markdown("Office-Home", frame, ROWS, FIGURES[:0], REPORTED)
    assert set(frame["origin"]) == {"here"} and "Receipt" not in page.replace("under *Receipt*", "")
    assert not re.search(r"UEM \\?\[", page) and "38.5" not in page


def test_csv_holds_every_number():
    frame = reproduction(ROWS, FIGURES, REPORTED)
    again = pd.read_csv(
        io.StringIO(frame.to_csv(index=False)), keep_default_na=False, na_values={"value": "", "std": ""}
    )
    assert list(again.columns) == list(frame.columns) and len(again) == len(frame)
    assert again["value"].equals(frame["value"]) and again["seeds"].tolist() == frame["seeds"].tolist()


def test_latex_tables_are_whole():
    """Every environment ends, every line has as many cells as the head, and rules are booktabs'."""
    text = reproduction_latex(reproduction(ROWS, FIGURES, REPORTED), REPORTED)
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 2
    for one in text.split(r"\begin{table}")[1:]:
        (spec,) = re.findall(r"\\begin\{tabular\}\{(\w+)\}", one)
        lines = [line for line in one.splitlines() if line.endswith(r" \\")]
        assert {len(re.findall(r"(?<!\\)&", line)) + 1 for line in lines} == {len(spec)}
        rules = [r"\toprule", r"\midrule", r"\bottomrule", r"\end{tabular}"]
        assert [one.index(rule) for rule in rules] == sorted(one.index(rule) for rule in rules)
        assert not re.search(r"\\\\\s*[\[*]", one), "a bracket would be an argument of the line's end"
    assert r"Art $\rightarrow$ Clipart" in text and r"52.0 $\pm$ 2.8" in text


def test_names_that_are_no_utf_8_reach_every_page():
    name = " · ".join(NAMES)
    ways, reported = [(name, "Art"), ("Art", name)], {"closed": [f"{name} → Art"]}
    rows = [
        *ROWS,
        row(name, 0, 1.0, 2.0, ways=ways, protocol="closed"),
        row(name, 0, 1.0, 2.0, protocol="open"),
    ]
    frame = reproduction(rows, FIGURES, reported)
    assert name in set(frame["name"]) and f"Art → {name}" in set(frame["direction"])
    assert "not utf-8: \udce9" in frame.to_csv(index=False)
    page = reproduction_markdown("Office-Home", frame, rows, FIGURES, reported)
    for text in (page, reproduction_latex(frame, reported)):
        assert "udce9" in text and "TPSNet" in text


@pytest.mark.parametrize("name", [MARKUP, r"50% & $x_1$ #{a}~^\b", "[a] -- “b” <c>"])
def test_a_name_is_text_in_latex(name):
    text = reproduction_latex(reproduction([row(name, 0, 1.0, 2.0)], FIGURES[:0], REPORTED), REPORTED)
    (line,) = (line for line in text.splitlines() if line.endswith(r"1.0 & 2.0 & 1.5 \\"))
    plain = re.sub(r"\\text\w+\{\}|\\[&%$#_{}]|\$\\?[a-z^2]+\$", "", line.removesuffix(r"\\"))
    assert not re.search(r"[%$#_~^<>\\]", plain) and plain.count("{") == plain.count("}")
