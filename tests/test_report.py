"""The page of results: means, deviations and cards from rows made by hand."""

import dataclasses

import pytest

from tpsnet.evaluation import Detection, ProtocolCard, Scores
from tpsnet.report import (
    comparison_markdown,
    mean_of_directions,
    results_markdown,
    universal_markdown,
    write_page,
    zero_shot_markdown,
)
from tpsnet.types import InputError


def row(name: str, seed: int, there: float, back: float) -> dict:
    def direction(query: str, gallery: str, value: float, n: int) -> dict:
        card = ProtocolCard(query, gallery, n, 30 - n, 3, 0, (1, 5, 15), "torch", "in the gallery's order")
        if name != "frozen CLIP":
            card = dataclasses.replace(card, seeds=(seed,))
        metrics = ("P@1", "P@5", "P@15", "plain P@1", "plain P@5", "plain P@15", "mAP@All")
        return {
            "query": query,
            "gallery": gallery,
            **dict.fromkeys(metrics, value),
            "card": dataclasses.asdict(card),
        }

    directions = [direction("line", "flat", there, 12), direction("flat", "line", back, 18)]
    return {"row": name, "seed": seed, "pair": ["line", "flat"], "directions": directions}


ROWS = [row("frozen CLIP", 0, 30.0, 50.0), row("TPSNet", 0, 40.0, 60.0), row("TPSNet", 1, 44.0, 60.0)]


def test_means_and_deviations_by_hand():
    page = results_markdown(ROWS)
    assert mean_of_directions(ROWS, "TPSNet", "mAP@All", 1) == 52
    assert "| frozen CLIP | 40.0 | 40.0" in page
    assert "| TPSNet | 51.0 ± 1.4 | 51.0 ± 1.4" in page  # of 50 and 52
    assert "| line → flat | 30.0 | 42.0 ± 2.8 |" in page
    assert "| flat → line | 50.0 | 60.0 ± 0.0 |" in page


def test_seed_by_seed_repeats_the_floor():
    lines = results_markdown(ROWS).splitlines()
    head = lines.index("## Mean over all directions, seed by seed")
    assert lines[head + 4 : head + 6] == [
        "| frozen CLIP | 40.0 | 40.0 | 40.0 | 40.0 |",
        "| TPSNet | 50.0 | 52.0 | 50.0 | 52.0 |",
    ]


def test_the_page_states_protocol_published_figures_and_versions():
    page = results_markdown(ROWS)
    assert "Σ_q min(k, n_q)" in page and "12 queries, gallery of 18" in page and "18 queries" in page
    assert "| mean of 12 | 84.53 |" in page and "cannot be compared" in page
    assert "**seeds**: 0, 1" in page and "torch 2" in page and "Commit" in page


def test_writing_is_whole_or_not_at_all(tmp_path):
    write_page(results_markdown(ROWS), tmp_path / "new" / "results.md")
    assert (tmp_path / "new" / "results.md").read_text() == results_markdown(ROWS)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        write_page("# Results", tmp_path / "file" / "results.md")


def test_switches_stand_in_their_own_table():
    few = [{**row, "row": "TPSNet, other"} for row in ROWS if row["row"] == ROWS[-1]["row"]][:1]
    page = results_markdown(ROWS, few)
    (line,) = [x for x in page.splitlines() if x.startswith("| TPSNet, other")]
    mean = sum(d["mAP@All"] for d in few[0]["directions"]) / 2
    assert line.endswith(f"| {mean:.1f} |")
    assert "TPSNet, other" not in results_markdown(ROWS) and "Single switches" not in results_markdown(ROWS)


def under(
    setting: str, name: str, pair: tuple[str, str], seed: int, mean_ap: float, private: float | None
) -> dict:
    """One row of the universal table: its single direction, with verdicts."""
    made = row(name, seed, mean_ap, 0.0)
    found = {"private_accuracy": private, "shared_accuracy": 80.0, "accuracy": 70.0, "h_score": private}
    there = made["directions"][0] | found | {"query": pair[0], "gallery": pair[1]}
    card = there["card"] | {"label_spaces": f"{setting}, drawn by seed {seed}", "n_lone": 7}
    there |= {"card": card if setting == "open" else card | {"n_lone": 0}}
    return made | {"pair": list(pair), "setting": setting, "directions": [there]}


def test_universal_means_by_hand():
    """Over pairs first, then over seeds: (10 + 30) / 2 and (20 + 60) / 2 are 30.0 ± 14.1."""
    pairs = [("line", "flat"), ("flat", "solid")]
    values = {(0, 0): 10.0, (0, 1): 30.0, (1, 0): 20.0, (1, 1): 60.0}
    rows = [
        under(setting, "UEM", pairs[p], seed, value, 60.0 if setting == "open" else None)
        for setting in ("closed", "open")
        for (seed, p), value in values.items()
    ]
    ablation = [under("open", "UEM, no SEL", pairs[0], 0, 5.0, 55.0)]
    page = universal_markdown(rows, ablation)
    closed, opened, ablated = (
        page.split("## Closed")[1].split("## Open")[0],
        *page.split("## Open")[1].split("## Abl"),
    )
    assert "| UEM | 30.0 ± 14.1 | 30.0 ± 14.1 | 80.0 ± 0.0 | 70.0 ± 0.0 |" in closed
    assert "| UEM | 30.0 ± 14.1 | 30.0 ± 14.1 | 60.0 ± 0.0 | 80.0 ± 0.0 | 70.0 ± 0.0 | 60.0 ± 0.0 |" in opened
    assert "| line → flat | 15.0 ± 7.1 |" in closed and "private rejected" not in closed
    assert "| UEM, no SEL | 5.0 | 5.0 | 55.0 | 80.0 | 70.0 | 55.0 |" in ablated
    assert "The same pairs; seeds 0." in ablated
    assert "Ablation" not in universal_markdown(rows)
    rules = page.split("## Protocol")[1]
    assert "closed, drawn by seed 0; closed, drawn by seed 1; open, drawn by seed 0" in rules
    assert "0 lone queries; 12 queries" in rules and "7 lone queries" in rules and "line →" not in rules
    assert "**no match**: UEM" in rules and "told the number of query classes" in rules
    assert "seeds 0, 1, which draw" in page and "## Protocol" in page and "## Made with" in page


def test_zero_shot_keeps_the_galleries_apart():
    def unseen(name: str, seed: int, values: tuple[float, ...]) -> dict:
        made = row(name, seed, 0.0, 0.0)
        both = [d | {"kind": kind} for kind in ("unseen", "generalised") for d in made["directions"]]
        metrics = ("mAP@all", "mAP@200", "Prec@100", "Prec@200")
        directions = [d | dict.fromkeys(metrics, v) for d, v in zip(both, values, strict=True)]
        return made | {"directions": directions}

    rows = [unseen("CLAIR", 0, (40.0, 60.0, 10.0, 20.0)), unseen("CLAIR", 1, (44.0, 60.0, 10.0, 24.0))]
    other = unseen("UEM", 0, (30.0, 40.0, 1.0, 2.0))
    page = zero_shot_markdown(rows, [unseen("CLAIR, no map", 0, (1.0, 2.0, 3.0, 4.0))], [other])
    beside = page.split("## Beside")[1]
    assert "| CLAIR | 0 | 50.0 |" in beside and "| UEM | 0 | 35.0 |" in beside
    assert "The same directions, seed 0" in beside and "| line → flat | 40.0 | 30.0 |" in beside
    assert "## Beside" not in zero_shot_markdown(rows)
    floor = unseen("frozen CLIP", 0, (20.0, 40.0, 1.0, 2.0))
    beside = zero_shot_markdown([floor, *rows], None, [unseen("UEM", 1, (1.0, 1.0, 1.0, 1.0))])
    beside = beside.split("## Beside")[1]
    assert "| frozen CLIP | none | 30.0 |" in beside and "| CLAIR | 1 | 52.0 |" in beside
    first, second = page.index("Gallery of unseen"), page.index("Generalised gallery")
    assert "| CLAIR | 0, 1 | 51.0 ± 1.4 |" in page[first:second]
    assert "| line → flat | 42.0 ± 2.8 |" in page[first:second]
    assert "| CLAIR | 0, 1 | 16.0 ± 1.4 |" in page[second:]
    assert "| CLAIR, no map | 0 | 1.5 |" in page[second:]
    assert "not known to us" in page


def test_a_comparison_names_what_is_missing_and_what_differs():
    card = ProtocolCard("a", "b", 4, 4, 2, 0, (1,), "torch", "none")
    plain = Scores({1: 70.0}, {1: 70.0}, 60.0, card)
    judged = dataclasses.replace(plain, mean_ap=40.0, detection=Detection(80.0, 50.0, 60.0, 61.5))
    page = comparison_markdown({"closed": {"frozen CLIP": plain, "TPSNet": plain}, "open": {"UEM": judged}})
    assert "|  | closed: mAP@All | P@1 | open: mAP@All | P@1 | H-score |" in page
    assert "| TPSNet | 60.0 | 70.0 | – | – | – |" in page and "| UEM | – | – | 40.0 | 70.0 | 61.5 |" in page
    assert "| TPSNet, closed | P@1 70.0 | P@1 84.5 | Office-Home" in page
    assert "| UEM, open | mAP@All 40.0, 80.0 % rejected | mAP@All 50.2, 86.7 % rejected |" in page
    assert "| UEM, partial | – | mAP@All 46.0 |" in page and "| CLAIR, zero-shot | – | – |" in page
