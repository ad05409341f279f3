"""Folders without classes and single files, as domains of one class."""

import os
import shutil
import subprocess

import pytest
import torch

from tpsnet.data import image_folder, load_images, single_image, unlabelled_folder
from tpsnet.errors import InputError


def test_flat_and_nested_images_in_the_order_of_their_paths(tree):
    root = tree({"scans/b/deep": 2, "scans/a": 1})
    image = root / "scans" / "a" / "000.png"
    for name in ("c.PNG", "b.png", "notes.txt", ".hidden.png"):
        shutil.copy(image, root / "scans" / name)
    shutil.copytree(root / "scans" / "a", root / "scans" / ".thumbnails")
    domain = unlabelled_folder(root / "scans")
    found = [path.relative_to(root.resolve() / "scans").as_posix() for path in domain.paths]
    assert found == ["a/000.png", "b/deep/000.png", "b/deep/001.png", "b.png", "c.PNG"]
    assert domain.name == "scans" and domain.class_names == ("unlabelled",)
    assert domain.labels.tolist() == [0] * 5 and domain.labels.dtype == torch.int64


def test_the_pixels_are_those_of_a_labelled_folder(tree):
    root = tree({"art/ant": 2, "art/bee": 1})
    (_, labelled), (domain, images) = (
        load_images(d, 16) for d in (image_folder(root)["art"], unlabelled_folder(root / "art"))
    )
    assert torch.equal(images.pixels, labelled.pixels) and len(domain) == 3


def test_unreadable_images_are_left_out(tree):
    root = tree({"scans": 3})
    (root / "scans" / "001.png").write_bytes(b"")
    domain, images = load_images(unlabelled_folder(root / "scans"), 16)
    assert len(images) == 2 and [p.name for p in domain.paths] == ["000.png", "002.png"]


def test_a_relative_folder_has_a_name_and_whole_paths(tree, monkeypatch):
    root = tree({"scans/a": 1})
    monkeypatch.chdir(root / "scans")
    for domain in (unlabelled_folder("."), single_image("a/../a/000.png")):
        assert all(path.is_absolute() for path in domain.paths)
    assert unlabelled_folder(".").name == "scans" and single_image("a/000.png").name == "a"


def test_loops_of_links_are_passed_over_and_each_folder_is_read_once(tree, caplog):
    root = tree({"scans/a": 1, "scans/z": 1, "other/b": 1})
    (root / "scans" / "loop").symlink_to(root / "scans")
    (root / "scans" / "b").symlink_to(root / "scans" / "z")  # read by its own name
    (root / "scans" / "other").symlink_to(root / "other")
    (root / "other" / "back").symlink_to(root / "scans")
    (root / "scans" / "self").symlink_to("self")
    found = [
        p.relative_to(root.resolve() / "scans").as_posix() for p in unlabelled_folder(root / "scans").paths
    ]
    assert found == ["a/000.png", "other/b/000.png", "z/000.png"]
    lines = " ".join(record.getMessage() for record in caplog.records)
    assert "a folder above them: 1" in lines and "links in a loop: 1" in lines and "read already: 2" in lines


def test_a_folder_deeper_than_python_recurses(tree, monkeypatch):
    root = tree({"scans": 1})
    monkeypatch.chdir(root / "scans")
    for _ in range(1100):
        os.mkdir("d")  # noqa: PTH102
        os.chdir("d")
    monkeypatch.chdir(root)
    assert len(unlabelled_folder(root / "scans")) == 1
    subprocess.run(["rm", "-rf", str(root / "scans")], check=True)  # deeper than pytest's own removal goes


def test_one_image(tree):
    root = tree({"scans": 3})
    domain, images = load_images(single_image(str(root / "scans" / "001.png")), 16)
    assert domain.name == images.name == "scans" and domain.labels.tolist() == [0]
    assert torch.equal(images.pixels[0], load_images(unlabelled_folder(root / "scans"), 16)[1].pixels[1])


@pytest.mark.parametrize(
    ("read", "name", "words"),
    [
        (unlabelled_folder, "nowhere", "nowhere: cannot read this folder"),
        (unlabelled_folder, "scans/000.png", r"000\.png: cannot read this folder"),
        (unlabelled_folder, "empty", "empty: no image in this folder"),
        (single_image, "scans/007.png", r"007\.png: no such image file"),
        (single_image, "scans", "scans is a folder; give one image file"),
    ],
)
def test_what_is_not_there_is_one_line(tree, read, name, words):
    root = tree({"scans": 1, "empty": 0})
    with pytest.raises(InputError, match=words) as error:
        read(root / name)
    assert "\n" not in str(error.value)
