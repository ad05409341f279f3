"""The pages of results: means, deviations and cards from rows made by hand."""

import dataclasses
import json
import math
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from hostile import MARKUP, NAMES, text

from tpsnet.errors import InputError
from tpsnet.escape import printable
from tpsnet.evaluation import Facts, ProtocolCard, Scores, definition
from tpsnet.report import (
    by_ranking,
    check_row,
    comparison_markdown,
    results_markdown,
    shortfalls,
    strongest,
    tidy,
    universal_markdown,
    zero_shot_markdown,
)
from tpsnet.viz.document import markdown

PLAIN = ("P@1", "P@5", "P@15", "plain P@1", "plain P@5", "plain P@15", "mAP")


def direction(way: tuple[str, str], metrics: dict, n: int = 12, kind: str = "all", **told: object) -> dict:
    """One direction of a row, with its card as JSON would hold it."""
    facts = Facts(*way, n, 30 - n, 3, told.pop("n_unmatched", 0), "torch")
    told = {"label_spaces": "closed", "split": "all", "epoch": "last", "seeds": ()} | told
    card = ProtocolCard(**vars(facts), metrics={name: definition(name) for name in metrics}, **told)
    card = dataclasses.asdict(card) | {"seeds": list(card.seeds)}
    reranked = {"diffusion": {name: value and value + 1 for name, value in metrics.items()}}
    return {"query": way[0], "gallery": way[1], "kind": kind, "metrics": metrics, "card": card} | {
        "reranked": reranked
    }


def row(name: str, seed: int, there: float, back: float) -> dict:
    seeds = () if name == "frozen CLIP" else (seed,)
    directions = [
        direction(("line", "flat"), dict.fromkeys(PLAIN, there), seeds=seeds),
        direction(("flat", "line"), dict.fromkeys(PLAIN, back), 18, seeds=seeds),
    ]
    made_with = {"commit": "abc"}
    return {"name": name, "seed": seed, "pair": ["line", "flat"], "protocol": "closed"} | {
        "made_with": made_with,
        "directions": directions,
        "machine": "a laptop, torch 2.14",
    }


ROWS = [row("frozen CLIP", 0, 30.0, 50.0), row("TPSNet", 0, 40.0, 60.0), row("TPSNet", 1, 44.0, 60.0)]


def test_a_row_below_the_strongest_baseline_says_so():
    """Of both directions together, under each ranking; re-ranking adds one to every number here."""
    other = row("frozen CLIP, flipped", 0, 44.0, 60.0)
    for d in other["directions"]:
        d["card"]["seeds"] = []
    low = row("UEM", 0, 40.0, 58.5)
    assert shortfalls([ROWS[0], low]) == []
    assert shortfalls([ROWS[0], other, low, row("TPSNet", 0, 50.0, 60.0)]) == [
        "UEM ends 2.8 mAP below frozen CLIP, flipped, which is not trained (as embedded)",
        "UEM ends 2.8 mAP below frozen CLIP, flipped, which is not trained (re-ranked by diffusion)",
    ]
    assert shortfalls([ROWS[0], other]) == [] and shortfalls([low]) == []


def test_rows_become_one_line_a_value():
    frame = tidy([row("UEM", 3, 40.0, 60.0) | {"protocol": "open"}])
    assert ",".join(frame) == "name,trained,seed,pair,protocol,query,gallery,kind,ranking,metric,value"
    assert len(frame) == 2 * 2 * len(PLAIN)
    way = ["UEM", True, 3, "line ↔ flat", "open", "flat", "line", "all"]
    assert list(frame.iloc[-1 - len(PLAIN)]) == [*way, "as embedded", "mAP", 60.0]
    assert list(frame.iloc[-1]) == [*way, "re-ranked by diffusion", "mAP", 61.0]
    there = direction(("line", "flat"), {"mAP": 1, "H-score": None})
    frame = tidy([ROWS[0] | {"directions": [there]}])
    mean_ap, h_score = frame["value"][:2]
    assert mean_ap == 1.0 and math.isnan(h_score) and not frame["trained"].any()


def test_means_and_deviations_by_hand():
    page = results_markdown(ROWS)
    assert "|  | mAP | P@1 | P@5 | P@15 | plain P@1 | plain P@5 | plain P@15 |" in page
    assert "| frozen CLIP | 40.0 | 40.0" in page
    assert "| TPSNet | 51.0 ± 1.4 | 51.0 ± 1.4" in page  # of 50 and 52
    assert "| frozen CLIP | 41.0 | 41.0" in page.split("**Re-ranked by diffusion**")[1]
    assert "| line → flat | 30.0 | 42.0 ± 2.8 |" in page
    assert "| flat → line | 50.0 | 60.0 ± 0.0 |" in page
    assert [line for line in page.splitlines() if "by direction" in line] == [
        f"## {metric} by direction, as embedded" for metric in ("mAP", "P@1", "P@5", "P@15")
    ]


def test_differences_are_paired_with_the_strongest_training_free_row():
    """Of two baselines the one with the higher mean counts, on the same direction, under the same ranking."""
    rows = [*ROWS, row("centred", 0, 45.0, 41.0)]
    for d in rows[-1]["directions"]:
        d["card"]["seeds"] = []
        d["reranked"]["diffusion"] = dict.fromkeys(PLAIN, 30.0)
    compared = results_markdown(rows).split("## Beside the strongest training-free row")[1].split("\n## ")[0]
    embedded, reranked = compared.split("**Re-ranked by diffusion**")
    assert "less *centred*" in embedded and "less *frozen CLIP*" in reranked
    assert "|  | mAP | P@1 | mAP, worst seed | P@1, worst seed | pairs above |" in embedded
    assert "| TPSNet | +8.0 ± 1.4 | +8.0 ± 1.4 | +7.0 | +7.0 | 1 of 1 |" in embedded  # of 50 and 52 less 43
    assert "| line → flat | -3.0 ± 2.8 |" in embedded and "| flat → line | +19.0 ± 0.0 |" in embedded
    assert "| TPSNet | +11.0 ± 1.4 | +11.0 ± 1.4 | +10.0 | +10.0 | 1 of 1 |" in reranked


def test_a_pair_is_above_only_if_it_is_with_every_seed():
    rows = [ROWS[0], row("TPSNet", 0, 40.0, 60.0), row("TPSNet", 1, 20.0, 50.0)]
    assert "| TPSNet | +2.5 ± 10.6 | +2.5 ± 10.6 | -5.0 | -5.0 | 0 of 1 |" in results_markdown(rows)


def test_seeds_that_draw_classes_are_paired_too():
    """A baseline with a row a seed is compared seed by seed."""
    pair = ("line", "flat")
    rows = [universal(name, pair, seed, value, 60.0) for name, seed, value in DRAWN]
    for done in rows[:2]:
        done["directions"][0]["card"]["seeds"] = []
    assert "| UEM | +2.0 ± 1.4 |" in universal_markdown(rows)  # 11 − 10 and 53 − 50


DRAWN = (("frozen CLIP", 0, 10.0), ("frozen CLIP", 1, 50.0), ("UEM", 0, 11.0), ("UEM", 1, 53.0))


def test_seed_by_seed_repeats_the_baseline():
    lines = results_markdown(ROWS).splitlines()
    head = lines.index("## Mean over all directions, seed by seed")
    assert lines[head + 2] == "**As embedded**"
    assert lines[head + 4] == "|  | mAP, seed 0 | mAP, seed 1 | P@1, seed 0 | P@1, seed 1 |"
    assert lines[head + 6 : head + 8] == [
        "| frozen CLIP | 40.0 | 40.0 | 40.0 | 40.0 |",
        "| TPSNet | 50.0 | 52.0 | 50.0 | 52.0 |",
    ]
    third = results_markdown([*ROWS, row("UEM", 2, 10.0, 20.0), row("UEM", 1, 10.0, 30.0)])
    assert "| TPSNet | 50.0 | 52.0 | – |" in third and "| UEM | – | 20.0 | 15.0 |" in third


def test_a_metric_of_some_rows_is_a_column_and_missing_in_the_others():
    more = row("UEM", 0, 40.0, 60.0)
    for d in more["directions"]:
        d["metrics"] |= {"P@2": 12.5, "H-score": None}
        d["reranked"] = {}
        del d["metrics"]["P@5"]
    page = results_markdown([*ROWS, more])
    assert "|  | mAP | P@1 | P@2 | P@5 | P@15 | plain P@1 |" in page and "| H-score |" not in page
    assert "| TPSNet | 51.0 ± 1.4 | 51.0 ± 1.4 | – | 51.0 ± 1.4 |" in page
    assert "| UEM | 50.0 | 50.0 | 12.5 | – | 50.0 |" in page
    assert "| P@2, query → gallery | frozen CLIP | TPSNet | UEM |" in page
    assert "| line → flat | – | – | 12.5 |" in page
    assert "| UEM | 50.0 | 50.0 | 50.0 | 50.0 |" in page.split("seed by seed")[1]


def test_the_page_states_protocol_published_figures_and_versions():
    page = results_markdown(ROWS)
    assert "Σ_q min(k, n_q)" in page and "12 queries, 0 without a match, gallery of 18" in page
    assert "18 queries" in page and page.count("**ties**") == 1
    assert "| Product → Art | 88.80 |" in page and "| mean | 84.53 |" in page
    assert "as secondary sources report it: Office-Home" in page
    assert "**seeds**: 0, 1" in page and "Rows computed on a laptop, torch 2.14." in page and "Commit" in page


def universal(name: str, pair: tuple[str, str], seed: int, mean_ap: float, rejected: float | None) -> dict:
    """One row of the universal table, open where some queries have no match."""
    metrics = {"mAP": mean_ap, "P@1": mean_ap, "H-score": rejected, "detection accuracy": 70.0}
    metrics |= {"rejected without a match": rejected, "kept with a match": 80.0}
    protocol = "partial" if rejected is None else "open"
    told = {"label_spaces": f"{protocol}, drawn by seed {seed}", "n_unmatched": 7 * (protocol == "open")}
    there = direction(pair, metrics, seeds=(seed,), **told)
    return ROWS[0] | {"name": name, "seed": seed, "pair": pair, "protocol": protocol, "directions": [there]}


def test_universal_means_by_hand():
    """Over pairs first, then over seeds: (10 + 30) / 2 and (20 + 60) / 2 are 30.0 ± 14.1."""
    pairs = [("line", "flat"), ("flat", "solid")]
    values = {(0, 0): 10.0, (0, 1): 30.0, (1, 0): 20.0, (1, 1): 60.0}
    rows = [
        universal("UEM", pairs[p], seed, value, rejected)
        for rejected in (None, 60.0)
        for (seed, p), value in values.items()
    ]
    page = universal_markdown([*ROWS, *rows], [universal("UEM, no SEL", pairs[0], 0, 5.0, 55.0)])
    _, closed, partial, opened, ablated, rules, _ = page.split("\n## ")
    assert closed.startswith("Closed") and "| TPSNet | 51.0 ± 1.4 |" in closed and "match" not in closed
    assert "| line → flat | 30.0 | 42.0 ± 2.8 |" in closed and "| flat → line | 50.0 |" in closed
    assert "|  | mAP | P@1 | kept with a match | detection accuracy |" in partial
    assert "| UEM | 30.0 ± 14.1 | 30.0 ± 14.1 | 80.0 ± 0.0 | 70.0 ± 0.0 |" in partial
    assert "| UEM | 30.0 ± 14.1 | 30.0 ± 14.1 | 60.0 ± 0.0 | 80.0 ± 0.0 | 70.0 ± 0.0 | 60.0 ± 0.0 |" in opened
    assert "| line → flat | 15.0 ± 7.1 |" in opened
    assert "| UEM, no SEL | 5.0 | 5.0 | 55.0 | 80.0 | 70.0 | 55.0 |" in ablated
    assert "The same pairs; seeds 0." in ablated and "| UEM, no SEL | 47.5 | 81.7 |" in ablated
    assert "Ablation" not in universal_markdown(rows)
    assert "closed; partial, drawn by seed 0; partial, drawn by seed 1; open, drawn by seed 0" in rules
    assert "12 queries, 0 without a match" in rules and "7 without a match" in rules and "line →" not in rules
    assert "**P@1, P@5, P@15**: 100" in rules and rules.count("Σ_q hits") == rules.count("**mAP**") == 1
    assert "**rejection**: UEM" in rules and "four of five gallery images" in rules
    assert "Seeds 0, 1, which draw" in page and "## Made with" in page


def zero_shot(name: str, seed: int, values: tuple[float, ...]) -> dict:
    ways = [(kind, way) for kind in ("unseen", "generalised") for way in (("line", "flat"), ("flat", "line"))]
    seeds = () if name == "frozen CLIP" else (seed,)
    directions = [
        direction(way, {"plain P@2": value / 2, "interpolated mAP": value}, kind=kind, seeds=seeds)
        for (kind, way), value in zip(ways, values, strict=True)
    ]
    return ROWS[0] | {"name": name, "seed": seed, "protocol": "zero-shot", "directions": directions}


CLAIR = [zero_shot("CLAIR", 0, (40.0, 60.0, 10.0, 20.0)), zero_shot("CLAIR", 1, (44.0, 60.0, 10.0, 24.0))]


def test_zero_shot_keeps_the_galleries_apart():
    page = zero_shot_markdown(CLAIR, [zero_shot("CLAIR, no map", 0, (1.0, 2.0, 3.0, 4.0))])
    _, unseen, generalised, ablation, rules, published, _ = page.split("\n## ")
    assert "|  | seeds | interpolated mAP | plain P@2 |" in unseen
    assert "| CLAIR | 0, 1 | 51.0 ± 1.4 | 25.5 ± 0.7 |" in unseen
    assert "| interpolated mAP, query → gallery | CLAIR |" in unseen
    assert "| line → flat | 42.0 ± 2.8 |" in unseen
    assert "| CLAIR | 0, 1 | 16.0 ± 1.4 |" in generalised and "line → flat" not in generalised
    assert "| CLAIR, no map | 0 | 1.5 |" in ablation and "oracle" in ablation
    assert "**interpolated mAP**: mean over" in rules and "P@k" not in rules.split("without a match")[0]
    assert "CLAIR (BMVC 2025, arXiv:2508.12290): its numbers are not known to us." in published


def test_a_second_table_has_few_large_classes():
    coarse = [row("TPSNet", 0, 70.0, 80.0)]
    assert "Nine large" not in results_markdown(ROWS) and "Nine large" not in zero_shot_markdown(CLAIR)
    second = results_markdown(ROWS, coarse).split("## Nine large classes")[1].split("\n## ")[0]
    assert "### Closed" in second and "| TPSNet | 75.0 | 75.0 |" in second and "frozen" not in second
    page = zero_shot_markdown(CLAIR, None, None, CLAIR[:1]).split("## Nine large classes")[1]
    head, unseen, generalised = page.split("### Zero-shot, ")
    assert "the seed draws the unseen groups" in head and "draws" not in second
    assert unseen.startswith("unseen gallery") and "| CLAIR | 50.0 |" in unseen
    assert generalised.startswith("generalised gallery") and "| CLAIR | 15.0 |" in generalised


def test_zero_shot_stands_beside_others_of_the_same_seed():
    assert "## Beside" not in zero_shot_markdown(CLAIR)
    beside = zero_shot_markdown(CLAIR, None, [zero_shot("UEM", 0, (30.0, 40.0, 1.0, 2.0))])
    beside = beside.split("## Beside")[1]
    assert "| CLAIR | 0 | 50.0 |" in beside and "| UEM | 0 | 35.0 |" in beside
    assert "The same directions, seed 0" in beside and "| line → flat | 40.0 | 30.0 |" in beside
    rows = [zero_shot("frozen CLIP", 0, (20.0, 40.0, 1.0, 2.0)), *CLAIR]
    beside = zero_shot_markdown(rows, None, [zero_shot("UEM", 1, (1.0, 1.0, 1.0, 1.0))])
    beside = beside.split("## Beside")[1]
    assert "| frozen CLIP | none | 30.0 |" in beside and "| CLAIR | 1 | 52.0 |" in beside


def test_a_comparison_names_what_is_missing_and_what_differs():
    plain = Scores({1: 70.0}, {1: 70.0}, 60.0, Facts("a", "b", 4, 4, 2, 0, "torch"))
    detection = {"rejected without a match": 80.0, "H-score": 61.5}
    rejecting = dataclasses.replace(plain, mean_ap=40.0, detection=detection)
    scores = {"closed": {"frozen CLIP": plain, "TPSNet": plain}, "open": {"UEM": rejecting}}
    page = comparison_markdown(scores | {"zero-shot": {"CLAIR": plain}})
    assert "|  | closed: mAP | closed: P@1 | open: mAP | open: P@1 | open: H-score |" in page
    assert "| TPSNet | 60.0 | 70.0 | – | – | – | – | – |" in page
    assert "| UEM | – | – | 40.0 | 70.0 | 61.5 |" in page
    ours, theirs = page.split("**As published**, on other images and another backbone, so not to be compared")
    assert "84.5" not in ours and "| TPSNet, closed | P@1 84.5 | Office-Home" in theirs
    assert "| UEM, open | mAP 50.2, rejected without a match 86.7 | Office-Home" in theirs
    assert "| UEM, open | mAP 77.4, rejected without a match 92.5 | Office-31" in theirs
    assert "| UEM, partial | mAP 46.0 | Office-Home" in theirs and "| CLAIR, zero-shot | – | its" in theirs
    assert "40.0" not in theirs and "70.0" not in theirs
    assert "SEL" not in page and "CLAIR" not in comparison_markdown(scores)


def test_a_comparison_has_a_second_table_after_a_re_ranking():
    plain = Scores({1: 70.0}, {1: 70.0}, 60.0, Facts("a", "b", 4, 4, 2, 0, "torch"))
    better = dataclasses.replace(plain, mean_ap=65.0)
    page = comparison_markdown({"closed": {"TPSNet": plain}}, {"closed": {"TPSNet": better}})
    embedded, reranked = page.split("**Re-ranked**")
    assert "| TPSNet | 60.0 | 70.0 |" in embedded and "| TPSNet | 65.0 | 70.0 |" in reranked
    assert "| TPSNet, closed | P@1 84.5 |" in reranked


@pytest.mark.parametrize("missing", ["P@1", "H-score"])
def test_a_comparison_of_one_protocol_has_the_columns_that_are_there(missing):
    facts = Facts("a", "b", 4, 4, 2, 0, "torch")
    scores = {"closed": {"TPSNet": Scores({} if missing == "P@1" else {1: 70.0}, {}, 60.0, facts)}}
    page = comparison_markdown(scores)
    assert "| closed: mAP |" in page and f"closed: {missing} |" not in page
    assert "As published" not in comparison_markdown({"closed": {"frozen CLIP": scores["closed"]["TPSNet"]}})


def test_a_page_of_other_depths_does_without_the_first_result_and_says_what_is_left_out():
    """As `--ks 50` asks for; rows of an earlier table do not say what was left out."""
    rows = json.loads(json.dumps(ROWS))
    for d in (d for one in rows for d in one["directions"]):
        d["card"]["left_out"] = [50]
        for metrics in (d["metrics"], d["card"]["metrics"], *d["reranked"].values()):
            for name in [name for name in metrics if name != "mAP"]:
                del metrics[name]
    page = results_markdown(rows)
    assert (
        "- **left out**: k = 50, beyond the gallery of 18" in page
        and "P@1" not in page.split("## Published")[0]
    )
    for d in rows[0]["directions"]:
        del d["card"]["left_out"]
    assert "- **left out**" in results_markdown(rows)


def hostile_pages(name: str) -> dict[str, str]:
    """Every page, with methods, domains, protocols, re-rankings and machines called ``name``."""
    pair, rows = (name, f"{name} other"), []
    for method, value, seeds in ((f"{name} baseline", 30.0, []), (name, 40.0, [0])):
        for kind in ("all", "unseen"):
            done = row(method, 0, value, value) | {"pair": list(pair), "machine": name, "protocol": name}
            for d, (query, gallery) in zip(done["directions"], (pair, pair[::-1]), strict=True):
                told = {"query_domain": query, "gallery_domain": gallery, "label_spaces": name, "split": name}
                told |= {"seeds": seeds, "epoch": name, "engine": name, "rerankings": {name: name}}
                d |= {"query": query, "gallery": gallery, "kind": kind, "card": d["card"] | told}
                d["metrics"] = {metric: d["metrics"][metric] for metric in ("mAP", "P@1")}
                d["reranked"] = {name: d["metrics"]}
            rows.append(done)
    scores = {name: {name: Scores({1: 70.0}, {1: 70.0}, 60.0, Facts(*pair, 4, 4, 2, 0, "torch"))}}
    return {
        "results": results_markdown(rows, rows),
        "universal": universal_markdown(rows, rows, rows),
        "zero-shot": zero_shot_markdown(rows, rows, rows, rows),
        "comparison": comparison_markdown(scores, scores),
    }


def test_on_every_page_a_name_is_text(monkeypatch):
    """The pages are those of ordinary names, element by element, but for the code that odd signs stand in."""

    def elements(page: str) -> list[str]:
        return re.findall("<(?!code|/code)[^>]*>", page)

    monkeypatch.setattr("tpsnet.report.parts._commit", lambda: "abc")
    name = " · ".join(NAMES)
    plain = hostile_pages("line")
    for which, page in hostile_pages(name).items():
        ours = markdown(page)
        assert elements(ours) == elements(markdown(plain[which])), which
        assert printable(name).strip() in text(ours), which


@pytest.mark.parametrize("name", [MARKUP, "not utf-8: \udce9"])
def test_the_shortfall_of_a_hostile_name_is_plain_text(name):
    low = row(name, 0, 10.0, 10.0)
    assert shortfalls([ROWS[0], low])[0].startswith(f"{name} ends 30.0 mAP below frozen CLIP")


def test_tables_of_names_that_are_no_utf_8_can_be_made_step_by_step():
    """As a notebook and the HTML report do: each function on its own."""
    name = "not utf-8: \udce9"
    frame = tidy([ROWS[0], row(name, 0, 40.0, 60.0)])
    assert name in set(frame["name"]) and any("udce9" in part for part in by_ranking(frame))
    assert strongest(frame.assign(trained=frame["name"] != name), "mAP") == name


def test_the_options_of_pandas_stay_as_they_are():
    """Those of the process belong to whoever imports the package; also after a page, and after a fault."""
    program = (
        "import pandas as pd; before = pd.get_option('mode.string_storage'); import tpsnet.report\n"
        "assert pd.get_option('mode.string_storage') == before, 'importing changes it'"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    before = pd.get_option("mode.string_storage")
    results_markdown(ROWS)
    with pytest.raises(KeyError):
        results_markdown([{}])
    assert pd.get_option("mode.string_storage") == before


def test_a_row_that_no_page_can_be_made_of_is_one_line():
    check_row(ROWS[0], Path("rows.jsonl"))
    way = ROWS[0]["directions"][0]
    for changes, reason in (
        ({"machine": None}, "row.machine: .*valid string, not None"),
        ({"pair": ["line"]}, r"row.pair.1: Field required"),
        ({"directions": []}, "row.directions: .*at least 1"),
        ({"directions": [{"query": "line"}]}, r"row\.directions\.0\.gallery: Field required"),
        ({"directions": [way | {"metrics": {"mAP": "high"}}]}, r"metrics\.mAP: .*not 'high'"),
        ({"directions": [way | {"reranked": 3}]}, r"directions\.0\.reranked: .*not 3"),
        ({"directions": [way | {"card": {"seeds": 3}}]}, r"directions\.0\.card"),
        (
            {"directions": [way | {"card": way["card"] | {"more": 3}}]},
            r"no field row\.directions\.0\.card\.more",
        ),
    ):
        with pytest.raises(InputError, match=reason) as caught:
            check_row(ROWS[0] | changes, Path("rows.jsonl"))
        assert "\n" not in str(caught.value) and "rows.jsonl" in str(caught.value)
