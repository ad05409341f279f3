"""A small build, the curated file and the shipped zip.

Neither network nor npm packages are needed; SVG drawings are tried where resvg_py is installed.
"""

import io
import json
import zipfile
from collections import Counter
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tools.build_emoji import build, draw_contact_sheet
from tools.drawings import Drawing, render, svg_document
from tools.families import FAMILIES, SAME_GEOMETRY, TEACHERS, share_geometry, shared_pairs
from tools.likeness import TWIN, twins
from tools.objects import CURATED, Objects, Thing
from tools.poses import CANVAS, Pose, draw_pose, pose_picture, trim

ROOT = Path(__file__).parents[2]
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
        picture = Image.new("RGBA", (64, 64))
        ImageDraw.Draw(picture).polygon(corners, fill=(0, 170, 0, 255))
        picture.save(tmp_path / f"{family}_{name}.png")
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
        build(hands, tmp_path / folder, count=3, seed=5, written=set(), processes=processes)
    for name in ("emoji.zip", "emoji.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    build(hands, tmp_path / "other", count=3, seed=6, written=set())
    assert (tmp_path / "one" / "emoji.zip").read_bytes() != (tmp_path / "other" / "emoji.zip").read_bytes()
    assert sorted(p.name for p in (tmp_path / "one").iterdir()) == ["emoji.json", "emoji.zip"]


def test_the_hands_of_a_class_take_turns(hands, tmp_path):
    build(hands, tmp_path, count=4, seed=0, written={"cross"})
    entries = json.loads((tmp_path / "emoji.json").read_text())["classes"]
    cross = next(e for e in entries if (e["domain"], e["class"]) == ("a", "cross"))
    assert cross["hands"] == [["ph", "x", ""], ["lucide", "x", ""]]
    assert not any(mirror for *_, mirror, _ in cross["poses"])
    with zipfile.ZipFile(tmp_path / "emoji.zip") as file:
        for number, (*pose, paper) in enumerate(cross["poses"]):
            drawing = hands["a"]["cross"][number % 2]
            expected = pose_picture(trim(render(drawing, CANVAS)), Pose(*pose, tuple(paper)))
            with Image.open(file.open(f"a/cross/{number:02}.webp")) as picture:
                apart = np.asarray(picture.convert("RGB")).astype(int) - np.asarray(expected)
            assert np.abs(apart).mean() < 4  # WebP is lossy


def test_the_contact_sheet_shows_every_class(hands, tmp_path):
    build(hands, tmp_path, count=1, seed=0, written=set())
    draw_contact_sheet(tmp_path / "emoji.zip", tmp_path / "sheet.webp")
    with Image.open(tmp_path / "sheet.webp") as sheet:
        green = np.asarray(sheet.convert("RGB")).astype(int)
    assert ((green[..., 1] - green[..., 0]) > 80).sum() > 4 * 100


def test_a_twin_across_domains_is_reported(hands):
    assert twins(hands) == []
    hands["b"]["star"] = [replace(hands["a"]["star"][0], family="mdi")]
    ((like, first, second),) = twins(hands)
    assert like > TWIN and {first.family, second.family} == {"ph", "mdi"}


def test_no_two_domains_share_geometry_and_no_teacher_is_in_one():
    domains = Objects.load().domains
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

    def pictures(self) -> dict[str, Drawing]:
        return {code: Drawing(self.key, f"n{code}", code) for code in self.codes}

    def icon(self, name: str) -> Drawing:
        return Drawing(self.key, name, "")


def test_families_take_turns_and_what_is_left_out_stays_out(monkeypatch):
    stands = {"one": Stand("one", "abc"), "two": Stand("two", "ac"), "set": Stand("set")}
    monkeypatch.setattr("tools.objects.FAMILIES", stands)
    thing = Thing(("a", "b", "c"), {"set": "x"}, frozenset({"two a"}))
    hands = Objects({"d": ("one", "two", "set")}, {"x": thing}).hands()
    drawn = [(d.family, d.hexcode or d.name) for d in hands["d"]["x"]]
    assert drawn == [("one", "a"), ("two", "c"), ("set", "x"), ("one", "b"), ("one", "c")]
    with pytest.raises(ValueError, match="e has no drawing of y"):
        Objects({"e": ("two", "set")}, {"x": thing, "y": Thing(("b",), {})}).hands()


def test_the_curated_file_has_one_line_an_object():
    lines = CURATED.read_text().splitlines()
    for name in Objects.load().things:
        assert sum(line.startswith(f'  "{name}": ') for line in lines) == 1


@pytest.fixture(scope="module")
def shipped():
    with zipfile.ZipFile(ASSETS / "emoji.zip") as file:
        yield file


@pytest.fixture(scope="module")
def provenance():
    return json.loads((ASSETS / "emoji.json").read_text())


def test_the_zip_is_a_plain_tree_of_five_equal_domains(shipped):
    assert (ASSETS / "emoji.zip").stat().st_size <= 14e6
    names = shipped.namelist()
    assert len(set(names)) == len(names)
    counts = Counter(tuple(name.split("/")[:2]) for name in names)
    assert all(len(name.split("/")) == 3 and name.endswith(".webp") for name in names)
    classes = {domain: {c for d, c in counts if d == domain} for domain, _ in counts}
    assert sorted(classes) == DOMAINS
    assert all(names == classes["line"] for names in classes.values())
    assert 65 <= len(classes["line"]) <= 125
    assert classes["line"] == set(Objects.load().things)
    assert len(set(counts.values())) == 1 and min(counts.values()) >= 16


def test_every_picture_is_96_pixels_and_not_blank(shipped):
    for name in shipped.namelist()[::7]:
        with Image.open(io.BytesIO(shipped.read(name))) as picture:
            assert picture.format == "WEBP" and picture.size == (96, 96) and picture.mode == "RGB"
            assert np.asarray(picture).std(axis=(0, 1)).max() > 8, name


def test_no_two_pictures_are_the_same(shipped):
    assert len({entry.CRC for entry in shipped.infolist()}) == len(shipped.namelist())


def test_provenance_tells_of_every_picture(shipped, provenance):
    objects = Objects.load()
    told = []
    for entry in provenance["classes"]:
        thing = objects.things[entry["class"]]
        for family, name, hexcode in entry["hands"]:
            assert family in objects.domains[entry["domain"]]
            assert hexcode in thing.emoji if hexcode else thing.icons[family] == name
            assert f"{family} {hexcode or name}" not in thing.without
        told += [f"{entry['domain']}/{entry['class']}/{n:02}.webp" for n in range(len(entry["poses"]))]
    assert sorted(told) == sorted(shipped.namelist())


def test_provenance_gives_package_version_and_licence(provenance):
    drawn = {family for entry in provenance["classes"] for family, _, _ in entry["hands"]}
    assert drawn == set(provenance["families"]) == {f for d in Objects.load().domains.values() for f in d}
    for key, told in provenance["families"].items():
        family = FAMILIES[key]
        assert told == {
            "package": family.package,
            "version": family.version,
            "licence": family.licence,
            "author": family.author,
        }
    texts = (ASSETS / "LICENSE-ASSETS").read_text(), (ROOT / "DATA.md").read_text()
    for key in drawn:
        assert all(FAMILIES[key].package in text and FAMILIES[key].licence in text for text in texts)


def test_poses_in_the_provenance_are_those_of_the_seed(provenance):
    things = Objects.load().things
    for entry in provenance["classes"][::9]:
        for number, row in enumerate(entry["poses"]):
            mirror = not things[entry["class"]].written
            pose = draw_pose(0, entry["domain"], entry["class"], number, mirror)
            assert row == [*pose.row()[:-1], list(pose.paper)]
