"""The two zips as they are shipped, against their provenance and the curated lists; no network is needed."""

import io
import json
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tools.assets.families import FAMILIES
from tools.assets.objects import CURATED, FURTHER, Objects
from tools.assets.poses import draw_pose

ROOT = Path(__file__).parents[3]
ASSETS = ROOT / "tpsnet" / "assets"
DOMAINS = ["flat", "line", "rendered", "shaded", "solid"]


@pytest.fixture(scope="module", params=["emoji", "further"])
def name(request):
    return request.param


@pytest.fixture(scope="module")
def objects(name):
    return Objects.load({"emoji": CURATED, "further": FURTHER}[name])


@pytest.fixture(scope="module")
def shipped(name):
    with zipfile.ZipFile(ASSETS / f"{name}.zip") as file:
        yield file


@pytest.fixture(scope="module")
def provenance(name):
    return json.loads((ASSETS / f"{name}.json").read_text())


def test_the_zip_is_a_plain_tree_of_five_equal_domains(name, shipped, objects):
    largest, classes_from, classes_to, images = {
        "emoji": (14e6, 65, 125, 16),
        "further": (20e6, 200, 400, 8),
    }[name]
    assert (ASSETS / f"{name}.zip").stat().st_size <= largest
    names = shipped.namelist()
    assert len(set(names)) == len(names)
    counts = Counter(tuple(name.split("/")[:2]) for name in names)
    assert all(len(name.split("/")) == 3 and name.endswith(".webp") for name in names)
    classes = {domain: {c for d, c in counts if d == domain} for domain, _ in counts}
    assert sorted(classes) == DOMAINS
    assert all(names == classes["line"] for names in classes.values())
    assert classes_from <= len(classes["line"]) <= classes_to
    assert classes["line"] == set(objects.things)
    assert set(counts.values()) == {images}


def test_every_image_is_96_pixels_and_not_blank(shipped):
    for name in shipped.namelist()[::7]:
        with Image.open(io.BytesIO(shipped.read(name))) as image:
            assert image.format == "WEBP" and image.size == (96, 96) and image.mode == "RGB"
            assert np.asarray(image).std(axis=(0, 1)).max() > 8, name


def test_no_two_images_are_the_same(shipped):
    assert len({entry.CRC for entry in shipped.infolist()}) == len(shipped.namelist())


def test_provenance_tells_of_every_image(shipped, provenance, objects):
    told = []
    for entry in provenance["classes"]:
        thing = objects.things[entry["class"]]
        for family, name, hexcode in entry["hands"]:
            assert family in objects.domains[entry["domain"]]
            assert hexcode in thing.emoji if hexcode else thing.icons[family] == name
            assert f"{family} {hexcode or name}" not in thing.without
        told += [f"{entry['domain']}/{entry['class']}/{n:02}.webp" for n in range(len(entry["poses"]))]
    assert sorted(told) == sorted(shipped.namelist())


def test_provenance_gives_package_version_and_licence(provenance, objects):
    drawn = {family for entry in provenance["classes"] for family, _, _ in entry["hands"]}
    assert drawn == set(provenance["families"]) == {f for d in objects.domains.values() for f in d}
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


def test_poses_in_the_provenance_are_those_of_the_seed(provenance, objects):
    things = objects.things
    for entry in provenance["classes"][::9]:
        for number, row in enumerate(entry["poses"]):
            mirror = not things[entry["class"]].written
            pose = draw_pose(0, entry["domain"], entry["class"], number, mirror)
            assert row == [*pose.row()[:-1], list(pose.paper)]
