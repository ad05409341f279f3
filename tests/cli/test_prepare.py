"""``tpsnet prepare`` on known data sets: a download is compared with what was published, then decoded."""

import os
import re
import shutil

import pytest
from PIL import Image

from tpsnet import cli
from tpsnet.cli import prepare
from tpsnet.data import DATASETS, Dataset, DomainFacts, load_images

SMALL = Dataset(
    name="small",
    title="Small",
    domains=(DomainFacts("art", images=4), DomainFacts("photo", known_as=("Real Life",), images=4)),
    classes=("ant", "cat"),
    page="https://example.org/small",
    terms="for tests",
    wrappers=("small_2016",),
)
TREE = [f"small_2016/{d}/{c}/{n}.png" for d in ("art", "Real Life") for c in ("ant", "cat") for n in "12"]


@pytest.fixture(autouse=True)
def small(tmp_path, monkeypatch):
    monkeypatch.setenv("TPSNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(DATASETS, "small", SMALL)


@pytest.fixture
def root(tmp_path):
    for i, place in enumerate(TREE):
        file = tmp_path / "root" / place
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30), (i * 30, 0, 0)).save(file)
    return tmp_path / "root"


def call(capsys, *words) -> tuple[int, list[str], str]:
    code = cli.main(["prepare", *map(str, words), "--size", "16"])
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return code, out.splitlines(), (err.splitlines() or [""])[-1]


def test_a_whole_download_is_decoded_under_the_names_of_the_data_set(root, capsys, caplog):
    code, out, _ = call(capsys, "small", root)
    assert code == 0 and out == ["art: 4 images of 2 classes", "photo: 4 images of 2 classes"]
    assert not caplog.records
    assert call(capsys, "small", root, "real life")[:2] == (0, ["photo: 4 images of 2 classes"])


def test_half_a_download_ends_before_anything_is_decoded(root, capsys, caplog):
    (root / TREE[0]).unlink()
    for place in TREE[4:]:
        (root / place).unlink()
    code, out, last = call(capsys, "small", root)
    assert code == 2 and out == []
    passed, *missing = caplog.messages
    assert passed.startswith("passed over class folders without an image: 2,")
    assert missing == ["missing domains, 1 of 2: photo", "missing images: art 1 of 4"]
    assert "this Small is not whole" in last and "https://example.org/small (terms: for tests)" in last
    assert not (root.parent / "cache").exists()


def test_what_is_superfluous_is_told_and_is_no_fault(root, capsys, caplog):
    Image.new("RGB", (40, 30)).save(root / "small_2016/art/ant/3.png")
    (root / "archive.zip").touch()
    code, out, _ = call(capsys, "small", root)
    assert code == 0 and out[0] == "art: 5 images of 2 classes"
    assert caplog.messages == [
        "superfluous images: art 1 of 4",
        "superfluous files and folders beside the domains: archive.zip",
    ]


def test_unreadable_images_are_named_and_are_a_fault(root, capsys, caplog):
    (root / TREE[1]).write_bytes(b"broken")
    code, out, last = call(capsys, "small", root)
    assert code == 2 and out[0] == "art: 3 images of 2 classes" and "1 images cannot be used" in last
    assert "art/ant/2.png" in caplog.text


def test_a_named_domain_is_compared_alone(root, capsys):
    for place in TREE[4:]:
        (root / place).unlink()
    assert call(capsys, "small", root, "art")[0] == 0
    code, _, last = call(capsys, "small", root, "photo")
    assert code == 2 and "Real Life: no image in a class folder" in last and "example.org" in last
    shutil.rmtree(root / "small_2016/Real Life")
    code, _, last = call(capsys, "small", root, "photo")
    assert code == 2 and "not whole" in last
    code, _, last = call(capsys, "small", root, "phot")
    assert code == 2 and "did you mean 'photo'" in last


def test_a_killed_call_goes_on_with_the_domains_that_are_left(root, capsys, monkeypatch):
    def killed(domain, size, **options):
        if domain.name == "photo":
            raise KeyboardInterrupt
        return load_images(domain, size, **options)

    def cached():
        pixels = root.parent / "cache" / "pixels"
        return {path: path.stat().st_mtime_ns for path in pixels.rglob("*") if path.is_file()}

    monkeypatch.setattr(prepare, "load_images", killed)
    assert call(capsys, "small", root)[:2] == (130, ["art: 4 images of 2 classes"])
    before = cached()
    monkeypatch.undo()
    monkeypatch.setenv("TPSNET_CACHE", str(root.parent / "cache"))
    monkeypatch.setitem(DATASETS, "small", SMALL)
    assert call(capsys, "small", root)[0] == 0
    assert before and before.items() < cached().items()


def test_earlier_pictures_are_told_and_removed_when_asked(root, capsys):
    """Domains that are not named keep all; the disk is stated before and after."""
    pixels = root.parent / "cache" / "pixels"
    assert call(capsys, "small", root)[0] == 0
    for domain in ("art", "Real Life"):
        Image.new("RGB", (40, 30), "green").save(root / "small_2016" / domain / "ant" / "1.png")
    code, out, _ = call(capsys, "small", root)
    told = r"beside them lie in the cache: \d\.\d kB of earlier pictures; --clean removes that"
    assert code == 0 and re.fullmatch(told, out[2]) and len(list(pixels.glob("*.npy"))) == 4
    code, out, _ = call(capsys, "small", root, "art", "--clean")
    stated = re.escape(str(pixels)) + r": (\d+\.\d) kB before, (\d+\.\d) kB after"
    before, after = re.fullmatch(stated, out[1]).groups()
    assert code == 0 and float(before) > float(after) and len(list(pixels.glob("*.npy"))) == 3
    assert "earlier pictures" in call(capsys, "small", root)[1][2]
    shutil.rmtree(root / "small_2016/Real Life")
    assert "of folders that are gone" in call(capsys, root / "small_2016", "art")[1][1]
    assert call(capsys, root / "small_2016", "art", "--clean")[0] == 0
    assert len(list(pixels.glob("*.npy"))) == 1
    assert call(capsys, root / "small_2016", "art")[1] == ["art: 4 images of 2 classes"]


def test_a_word_that_names_a_data_set_is_the_data_set(root, capsys, monkeypatch):
    monkeypatch.chdir(root)
    (root / "small_2016").rename(root / "small")
    code, _, last = call(capsys, "small")
    assert code == 2 and "small is a data set, ./small a folder" in last
    assert call(capsys, "./small")[:2] == (
        0,
        ["Real Life: 4 images of 2 classes", "art: 4 images of 2 classes"],
    )
    assert call(capsys, "small", "small")[0] == 0
    code, _, last = call(capsys, "smal", "small")
    assert code == 2 and "did you mean small?" in last
    assert call(capsys)[0] == 2


def test_another_shape_of_a_data_set_has_its_names(tmp_path, capsys):
    """Photos lie in two folders, a class has another spelling, and one folder is no class."""
    root, few = tmp_path / "Sketchy", tmp_path / "few"
    for place in ("photo/cow", "photo/no class", "extended_photo/jack_o_lantern", "sketch/cow"):
        (root / place).mkdir(parents=True)
        Image.new("RGB", (40, 30)).save(root / place / "1.png")
    line = ["shape", "few", str(few), "--dataset", "sketchy"]
    assert cli.main([*line, "--root", str(root)]) == 0
    assert capsys.readouterr().out == "photo: 2 images\nsketch: 1 images\n"
    assert sorted(p.name for p in (few / "photo").iterdir()) == ["cow", "jack-o-lantern"]
    assert cli.main([*line[:2], str(tmp_path / "other"), *line[3:]]) == 2
    assert "--dataset sketchy needs --root" in capsys.readouterr().err


def test_all_of_office_31_passes(tmp_path, capsys, caplog):
    """The real counts, in the layout of its archive; the images are links to one small picture."""
    dataset = DATASETS["office-31"]
    Image.new("RGB", (20, 20)).save(tmp_path / "one.jpg")
    for domain in dataset.domains:
        for i in range(domain.images):
            folder = tmp_path / "office" / domain.name / "images" / dataset.classes[i % len(dataset.classes)]
            folder.mkdir(parents=True, exist_ok=True)
            os.link(tmp_path / "one.jpg", folder / f"frame_{i:04}.jpg")
    code, out, _ = call(capsys, "office-31", tmp_path / "office")
    assert code == 0 and not caplog.records
    assert [line for line in out if " images of " in line] == [
        f"{d.name}: {d.images} images of 31 classes" for d in dataset.domains
    ]
    (folder / f"frame_{i:04}.jpg").unlink()
    assert call(capsys, "office-31", tmp_path / "office")[0] == 2
    assert caplog.messages == ["missing images: webcam 1 of 795"]
