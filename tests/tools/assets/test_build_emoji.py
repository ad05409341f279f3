"""A small build, the curated file and the shipped zip.

Neither network nor npm packages are needed; SVG drawings are tried where resvg_py is installed.
"""

import json
import zipfile
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tools.assets.build_emoji import build, draw_contact_sheet, refuse_repeats
from tools.assets.drawings import Drawing, render, svg_document
from tools.assets.emoji_names import Emoji
from tools.assets.families import SAME_GEOMETRY, TEACHERS, share_geometry, shared_pairs
from tools.assets.likeness import TWIN, twins
from tools.assets.objects import CURATED, FURTHER, Objects, Thing, every_fourth
from tools.assets.poses import CANVAS, Pose, pose_image, trim

ROOT = Path(__file__).parents[3]
ASSETS = ROOT / "tpsnet" / "assets"
DOMAINS = ["flat", "line", "rendered", "shaded", "solid"]


@pytest.fixture(params=["raster", "svg"])
def hands(request, tmp_path):
    """Two domains, two classes; the class ``cross`` has two hands in the domain ``a``."""
    if request.param == "svg":
        pytest.importorskip("resvg_py")

    def draw(family: str, name: str, corners: list[tuple[int, int]]) -> Drawing:
        if request.param == "svg":
            points = " ".join(f"{x},{y}" for x, y in corners)
            icon = {"body": f'<polygon points="{points}" fill="#0a0"/>'}
            return Drawing(family, name, "", svg=svg_document({"width": 64, "height": 64}, icon))
        image = Image.new("RGBA", (64, 64))
        ImageDraw.Draw(image).polygon(corners, fill=(0, 170, 0, 255))
        image.save(tmp_path / f"{family}_{name}.png")
        return Drawing(family, name, "", path=tmp_path / f"{family}_{name}.png")

    kite = [(32, 2), (60, 20), (32, 62), (4, 20)]
    bar, tall, arrow = (
        [(2, 20), (62, 25), (50, 44)],
        [(25, 2), (40, 2), (31, 62)],
        [(2, 2), (62, 30), (2, 60)],
    )
    return {
        "a": {"cross": [draw("ph", "x", kite), draw("lucide", "x", bar)], "star": [draw("ph", "s", arrow)]},
        "b": {"cross": [draw("mdi", "x", tall)], "star": [draw("mdi", "s", [(9, 9), (60, 9), (9, 50)])]},
    }


def test_two_builds_are_the_same_byte_for_byte(hands, tmp_path):
    for folder, processes in (("one", 1), ("two", 2)):
        build(hands, tmp_path / folder, "emoji", count=3, seed=5, written=set(), processes=processes)
    for name in ("emoji.zip", "emoji.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    build(hands, tmp_path / "other", "emoji", count=3, seed=6, written=set())
    assert (tmp_path / "one" / "emoji.zip").read_bytes() != (tmp_path / "other" / "emoji.zip").read_bytes()
    assert sorted(p.name for p in (tmp_path / "one").iterdir()) == ["emoji.json", "emoji.zip"]


def test_the_hands_of_a_class_take_turns(hands, tmp_path):
    build(hands, tmp_path, "emoji", count=4, seed=0, written={"cross"})
    entries = json.loads((tmp_path / "emoji.json").read_text())["classes"]
    cross = next(e for e in entries if (e["domain"], e["class"]) == ("a", "cross"))
    assert cross["hands"] == [["ph", "x", ""], ["lucide", "x", ""]]
    assert not any(mirror for *_, mirror, _ in cross["poses"])
    with zipfile.ZipFile(tmp_path / "emoji.zip") as file:
        for number, (*pose, paper) in enumerate(cross["poses"]):
            drawing = hands["a"]["cross"][number % 2]
            expected = pose_image(trim(render(drawing, CANVAS)), Pose(*pose, tuple(paper)))
            with Image.open(file.open(f"a/cross/{number:02}.webp")) as image:
                apart = np.asarray(image.convert("RGB")).astype(int) - np.asarray(expected)
            assert np.abs(apart).mean() < 4  # WebP is lossy


def test_the_contact_sheet_shows_every_class(hands, tmp_path):
    build(hands, tmp_path, "emoji", count=1, seed=0, written=set())
    draw_contact_sheet(tmp_path / "emoji.zip", tmp_path / "sheet.webp")
    with Image.open(tmp_path / "sheet.webp") as sheet:
        green = np.asarray(sheet.convert("RGB")).astype(int)
    assert ((green[..., 1] - green[..., 0]) > 80).sum() > 4 * 100


def test_a_twin_across_domains_is_reported(hands):
    assert twins(hands) == []
    hands["b"]["star"] = [replace(hands["a"]["star"][0], family="mdi")]
    ((like, first, second),) = twins(hands)
    assert like > TWIN and {first.family, second.family} == {"ph", "mdi"}


def test_a_further_drawing_that_repeats_a_benchmark_drawing_stops_the_build(hands):
    other = {"a": {"new": [hands["b"]["star"][0]]}}
    refuse_repeats({"a": hands["a"]}, other, processes=1)
    with pytest.raises(SystemExit, match=r"repeat one of the benchmark: mdi s$"):
        refuse_repeats(hands, other, processes=1)


def test_a_quarter_is_unseen_over_all_kinds():
    lists = Objects.load(CURATED), Objects.load(FURTHER)
    assert not set(lists[0].things) & set(lists[1].things) and not lists[0].hexcodes() & lists[1].hexcodes()
    unseen = (ASSETS / "unseen.txt").read_text().split()
    assert len(unseen) == 25 and set(unseen) <= set(lists[0].things) and unseen == sorted(unseen)
    kinds = [("an", "x"), ("an", "y"), ("an", "z"), ("an", "x"), ("ob", "x"), ("ob", "x"), ("ob", "a")]
    table = {str(i): Emoji(str(i), "", (), *kind) for i, kind in enumerate(kinds)}
    things = {name: Thing((str(i),), {}) for i, name in enumerate("gfedcba")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tools.assets.objects.emoji_table", lambda: table)
        # In order: d g f e (animals x x y z), then a (objects a), then b c (objects x).
        assert every_fourth(Objects({}, things)) == ["a", "d"]


@pytest.mark.parametrize("curated", [CURATED, FURTHER])
def test_no_two_domains_share_geometry_and_no_teacher_is_in_one(curated):
    domains = Objects.load(curated).domains
    assert sorted(domains) == DOMAINS
    for first, second in combinations(domains.values(), 2):
        assert not any({a, b} <= group or a == b for a in first for b in second for group in SAME_GEOMETRY)
    assert not set(TEACHERS) & {family for families in domains.values() for family in families}


def test_geometry_is_shared_both_ways():
    assert share_geometry("emojione", "emojione-mono") and share_geometry("emojione-mono", "emojione")
    assert share_geometry("noto", "noto") and not share_geometry("noto", "twemoji")
    assert shared_pairs(["noto", "ph"], ["fluent", "noto-mono"]) == [("noto", "noto-mono")]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"domains": {"a": ["noto"], "b": ["noto-mono"]}}, "share drawings"),
        ({"domains": {"a": ["streamline"]}}, "kept for pretraining"),
        (
            {"objects": {"x": {"emoji": ["1"], "icons": {}}, "y": {"emoji": ["1"], "icons": {}}}},
            "both x and y",
        ),
        ({"objects": {"x": {"emoji": ["1"], "icons": {"ph": "x"}}}}, "in no domain"),
    ],
)
def test_a_wrong_curated_file_is_refused(change, message, tmp_path):
    raw = {"domains": {"a": ["noto"]}, "objects": {}} | change
    (tmp_path / "objects.json").write_text(json.dumps(raw))
    with pytest.raises(ValueError, match=message):
        Objects.load(tmp_path / "objects.json")


class Stand:
    """A family with two emoji, or an icon set, without any package."""

    def __init__(self, key: str, codes: str = ""):
        self.key, self.codes, self.kind = key, codes, "iconify" if codes else "icons"

    def by_hexcode(self) -> dict[str, Drawing]:
        return {code: Drawing(self.key, f"n{code}", code) for code in self.codes}

    def icon(self, name: str) -> Drawing:
        return Drawing(self.key, name, "")


def test_families_take_turns_and_what_is_left_out_stays_out(monkeypatch):
    stands = {"one": Stand("one", "abc"), "two": Stand("two", "ac"), "set": Stand("set")}
    monkeypatch.setattr("tools.assets.objects.FAMILIES", stands)
    thing = Thing(("a", "b", "c"), {"set": "x"}, frozenset({"two a"}))
    hands = Objects({"d": ("one", "two", "set")}, {"x": thing}).hands()
    drawn = [(d.family, d.hexcode or d.name) for d in hands["d"]["x"]]
    assert drawn == [("one", "a"), ("two", "c"), ("set", "x"), ("one", "b"), ("one", "c")]
    with pytest.raises(ValueError, match="e has no drawing of y"):
        Objects({"e": ("two", "set")}, {"x": thing, "y": Thing(("b",), {})}).hands()


@pytest.mark.parametrize("curated", [CURATED, FURTHER])
def test_the_curated_file_has_one_line_an_object(curated):
    lines = curated.read_text().splitlines()
    for name in Objects.load(curated).things:
        assert sum(line.startswith(f'  "{name}": ') for line in lines) == 1
