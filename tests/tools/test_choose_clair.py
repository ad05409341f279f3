"""Held-out seen objects: no unseen class among them, what the page says, and that it is what ships."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pictures import write_tree

from tools import choose_clair
from tools.choose_clair import AXES, SHARES, SHIPPED, held_out, page, reshared, settings
from tpsnet.pair import load_pair
from tpsnet.types import Embeddings

NAMES = ("ant", "bee", "cat", "dog", "elk", "fox")


@pytest.fixture
def pair(tmp_path):
    return load_pair(write_tree(tmp_path, {"flat": NAMES, "line": NAMES}, each=1), ("flat", "line"), 32)


def test_unseen_classes_are_in_neither_part(pair, monkeypatch):
    monkeypatch.setattr(choose_clair, "HELD_OUT", 2)
    split = held_out(pair, ("ant", "bee", "cat", "dog"), ["bee", "fox"])
    names = [{NAMES[c] for c in part} for part in (split.seen, split.unseen)]
    assert names[0] | names[1] == {"ant", "cat", "dog", "elk"} and not names[0] & names[1]
    assert len(names[1]) == 2 and names[1] < {"ant", "cat", "dog"}
    draws = {held_out(pair, NAMES, ["bee"], seed).unseen for seed in range(5)}
    assert len(draws) > 1 and held_out(pair, NAMES, ["bee"], 1) == held_out(pair, NAMES, ["bee"], 1)


def test_one_axis_at_a_time():
    shipped, *others = settings()
    assert shipped == {axis: getattr(SHIPPED, axis) for axis in AXES}
    assert all(sum(s[axis] != shipped[axis] for axis in AXES) == 1 for s in others)
    assert len(others) == sum(len(values) - 1 for values in AXES.values())


def test_a_result_is_known_by_all_that_it_depends_on(monkeypatch):
    job = (settings()[0], ("flat", "line"), "0a")
    before = choose_clair.key(*job)
    assert before != choose_clair.key(*job[:2], "0b") and before != choose_clair.key(settings()[1], *job[1:])
    monkeypatch.setattr(choose_clair, "SHIPPED", replace(SHIPPED, temperature=0.3))
    assert before != choose_clair.key(*job)


def test_another_share_of_the_same_halves(rng):
    z = [torch.nn.functional.normalize(torch.randn(3, 4, generator=rng), dim=1) for _ in range(2)]
    part = Embeddings(
        "flat", torch.cat([0.6 * z[0], 0.8 * z[1]], 1), torch.arange(3), NAMES, (Path("a"),) * 3
    )
    found = reshared(part, 0.36).vectors
    torch.testing.assert_close(found, torch.cat([0.8 * z[0], 0.6 * z[1]], 1))


def test_the_page_shows_each_axis_with_what_ships_in_bold():
    found = {json.dumps(s): {str(w): 10.0 * n + w for w in SHARES} for n, s in enumerate(settings())}
    text = page((("flat", "line"),), found)
    assert text.count("**") == 2 * (len(AXES) + 1)
    assert f"| **{SHIPPED.trained_share:g}** | {SHIPPED.trained_share:.2f} |" in text
    assert f"| 0 | {10 + SHIPPED.trained_share:.2f} |" in text  # no group of the tower


def test_the_shipped_settings_are_on_the_page():
    """And no gentler value of an axis is as near to its best."""
    text = (Path(__file__).parents[2] / "docs" / "clair_settings.md").read_text(encoding="utf-8")
    for axis, rows in ((t.split("`")[0], t.splitlines()[2:]) for t in text.split("| `")[1:]):
        cells = [row.strip("| ").split(" | ") for row in rows if row]
        scores = {float(value.strip("*")): float(score) for value, score in cells}
        bold = [float(value.strip("*")) for value, _ in cells if "*" in value]
        assert bold == [getattr(SHIPPED, axis)]
        assert bold[0] == min(v for v, score in scores.items() if score >= max(scores.values()) - 0.2)
