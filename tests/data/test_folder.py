import errno
import os
import shutil
import unicodedata

import pytest

from tpsnet.data import image_folder, shared_classes
from tpsnet.errors import InputError


def test_one_class_table_for_all_domains(tree):
    """The photo folder lacks `ant`: its `cat` must keep id 1 all the same."""
    domains = image_folder(tree({"art/ant": 1, "art/cat": 2, "photo/cat": 1, "photo/wild dog": 3}))
    assert list(domains) == ["art", "photo"]
    assert domains["art"].class_names == domains["photo"].class_names == ("ant", "cat", "wild dog")
    assert domains["art"].labels.tolist() == [0, 1, 1]
    assert domains["photo"].labels.tolist() == [1, 2, 2, 2]
    assert [p.parent.name for p in domains["photo"].paths] == ["cat", "wild dog", "wild dog", "wild dog"]


def test_paths_hold_from_another_folder(tree, monkeypatch):
    """Saved embeddings name their images, and notebooks run in a folder of their own."""
    root = tree({"art/ant": 1})
    monkeypatch.chdir(root.parent)
    (path,) = image_folder(root.name)["art"].paths
    assert path.is_absolute() and path == next((root / "art" / "ant").iterdir()).resolve()


def test_names_choose_the_domains_and_their_table(tree):
    domains = image_folder(str(tree({"art/ant": 1, "clip/bee": 1, "photo/cat": 1})), names=["photo", "art"])
    assert list(domains) == ["photo", "art"]
    assert domains["art"].class_names == ("ant", "cat")


def test_a_broken_domain_that_is_not_chosen_does_no_harm(tree):
    root = tree({"art/ant": 1, "photo/cat": 0})
    assert list(image_folder(root, ["art"])) == ["art"]


def test_only_images_count_sorted_by_name(tree):
    root = tree({"art/ant": 0})
    files = ["b.JPG", "a.webp", "d.Bmp", "c.jpeg", "e.png", ".hidden.png", "notes.txt", "png", "x.eps"]
    files += ["f.tif", "g.GIF", "h.jfif", "i.ppm", "j.tiff", "k.avif", "l.jp2", "m.mpo", "x.pdf", "Thumbs.db"]
    for name in files:
        (root / "art/ant" / name).touch()
    (root / "art/ant/folder.png").mkdir()
    (root / "art/stray.png").touch()
    (root / "readme.txt").touch()
    (root / ".git").mkdir()
    (root / "art/.thumbnails").mkdir()
    names = [p.name for p in image_folder(root)["art"].paths]
    assert names[:5] == ["a.webp", "b.JPG", "c.jpeg", "d.Bmp", "e.png"]
    assert names[5:] == ["f.tif", "g.GIF", "h.jfif", "i.ppm", "j.tiff", "k.avif", "l.jp2", "m.mpo"]


@pytest.mark.parametrize(
    "classes, names, words",
    [
        ({}, None, "no domain folder"),
        ({"art": 0}, None, "no image in a class folder"),
        ({"art": 1}, None, "no image in a class folder"),
        ({"art/ant": 1, "photo/ant": 0}, ["art", "photo"], "photo: no image in a class folder"),
        ({"line/ant": 1, "solid/ant": 1}, ["lin"], "did you mean 'line'"),
        ({"line/ant": 1}, ["Qqq"], "no domain 'Qqq'"),
    ],
)
def test_bad_trees_are_one_line(tree, classes, names, words):
    root = tree(classes)
    root.mkdir(exist_ok=True)
    with pytest.raises(InputError, match=words) as error:
        image_folder(root, names)
    assert "\n" not in str(error.value) and str(root) in str(error.value)


def test_a_missing_root_is_named(tmp_path):
    with pytest.raises(InputError, match="nowhere"):
        image_folder(tmp_path / "nowhere")


def test_shared_classes(tree):
    domains = image_folder(tree({"a/x": 1, "a/y": 2, "b/y": 1, "b/z": 1, "c/x": 1, "d/y": 1, "d/x": 1}))
    assert shared_classes(domains["a"], domains["b"]) == (1,)
    assert shared_classes(domains["a"], domains["d"]) == (0, 1)
    with pytest.raises(InputError, match="no class in common"):
        shared_classes(domains["b"], domains["c"])


def test_domains_of_two_tables_are_refused(tree):
    """Ids mean different classes there: comparing them would be silently wrong."""
    root = tree({"a/x": 1, "b/y": 1})
    first, second = image_folder(root, ["a"])["a"], image_folder(root, ["b"])["b"]
    with pytest.raises(InputError, match="different class tables"):
        shared_classes(first, second)


def warnings_of(caplog):
    return [record.getMessage() for record in caplog.records]


def test_what_is_passed_over_is_told_a_line_a_kind(tree, caplog):
    root = tree({"art/ant": 2, "photo/ant": 1, "splits": 0, "photo/empty": 0, "art/ant/more/deep": 3})
    for name in (
        "art/ant/x.svg",
        "art/ant/y.SVG",
        "art/ant/LICENSE",
        "splits/a.txt",
        "readme.txt",
        "art/n.txt",
    ):
        (root / name).touch()
    (root / "__MACOSX" / "art" / "ant").mkdir(parents=True)
    shutil.copy(root / "art/ant/000.png", root / "__MACOSX/art/ant/000.png")
    shutil.copy(root / "art/ant/000.png", root / "art/loose.png")
    for name in ("art/ant/gone.png", "photo/ant/gone.png", "gone"):
        (root / name).symlink_to(root / "nowhere")
    os.mkfifo(root / "art/ant/pipe.png")
    domains = image_folder(root)
    assert {name: len(domain) for name, domain in domains.items()} == {"art": 2, "photo": 1}
    assert domains["art"].class_names == ("ant",)
    found = {}
    for line in warnings_of(caplog):
        kind, number, first = line.removeprefix("passed over ").replace(", the first is", ":").split(": ")
        found[kind] = int(number), os.path.relpath(first, os.path.realpath(root))
    assert found == {
        ".svg files": (2, "art/ant/x.svg"),
        "files without a suffix": (1, "art/ant/LICENSE"),
        "images in folders below the class folders": (3, "art/ant/more/deep/000.png"),
        "images above the class folders": (1, "art/loose.png"),
        "links to nothing": (3, "art/ant/gone.png"),
        "pipes, sockets and devices": (1, "art/ant/pipe.png"),
        "class folders without an image": (1, "photo/empty"),
        "folders without an image in a class folder": (1, "splits"),
    }
    caplog.clear()
    image_folder(root)
    assert not caplog.records, "a table reads the folder for each row, and one telling is enough"


def test_loops_of_links_are_passed_over(tree, caplog):
    root = tree({"art/ant": 1, "photo/ant": 1})
    loops = {"art/ant/up.png": "art", "art/ant/up": ".", "art/up": "art", "up": ".", "art/ant/self.png": None}
    for name, target in {**loops, "self": None, "photo/self": None}.items():
        (root / name).symlink_to(root / (name if target is None else target))
    domains = image_folder(root)
    assert {name: len(domain) for name, domain in domains.items()} == {"art": 1, "photo": 1}
    lines = " ".join(warnings_of(caplog))
    assert "links to a folder above them: 4," in lines and "links in a loop: 3," in lines


def test_a_folder_that_cannot_be_listed_is_passed_over(tree, caplog, monkeypatch):
    """As root no permission is ever lacking, so that the system is made to refuse."""
    root, listed = tree({"art/ant": 1, "art/bee": 1, "photo/ant": 1}), os.scandir

    def refusing(folder):
        if str(folder).endswith(("bee", "photo")):
            raise PermissionError(13, "Permission denied", str(folder))
        return listed(folder)

    monkeypatch.setattr(os, "scandir", refusing)
    assert image_folder(root)["art"].class_names == ("ant",)
    (line,) = [line for line in warnings_of(caplog) if "cannot be listed" in line]
    assert "(Permission denied): 2, the first is" in line and line.endswith("art/bee")
    with pytest.raises(InputError, match="photo: no image in a class folder"):
        image_folder(root, ["art", "photo"])


def test_a_nul_in_a_name_is_one_line(tree):
    root = tree({"art/ant": 1})
    for ask in (lambda: image_folder(f"{root}\0"), lambda: image_folder(root, ["ar\0t"])):
        with pytest.raises(InputError) as error:
            ask()
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", [errno.EIO, errno.EMFILE, errno.ESTALE])
def test_a_folder_that_cannot_be_listed_now_ends_the_reading(tree, monkeypatch, kind):
    """Else a class would be missing because of a fault that passes."""
    root, listed = tree({"art/ant": 1, "art/bee": 1}), os.scandir

    def refusing(folder):
        if str(folder).endswith("bee"):
            raise OSError(kind, "Not now", str(folder))
        return listed(folder)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(InputError, match=r"art/bee: cannot be listed now \(Not now\)"):
        image_folder(root)


def test_long_names_and_names_that_are_no_utf8_are_read(tree):
    root = os.fsencode(tree({"art/ant": 1}))
    image = root + b"/art/ant/000.png"
    for name in (b"x" * 251 + b".png", b"\xff.png"):
        shutil.copy(image, root + b"/art/ant/" + name)
    shutil.copytree(root + b"/art/ant", root + b"/art/caf\xe9")
    shutil.copytree(root + b"/art", root + b"/\xe9tude")
    domains = image_folder(os.fsdecode(root))
    assert sorted(domains) == ["\\udce9tude", "art"]
    for domain in domains.values():
        assert domain.class_names == ("ant", "caf\\udce9") and domain.labels.tolist() == [0, 0, 0, 1, 1, 1]
        assert all(path.is_file() for path in domain.paths)
    assert list(image_folder(os.fsdecode(root), [os.fsdecode(b"\xe9tude")])) == ["\\udce9tude"]


@pytest.mark.parametrize(("here", "there"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_a_name_is_the_same_in_either_unicode_form(tree, here, there):
    one, other = (unicodedata.normalize(form, "café") for form in (here, there))
    root = tree({f"art/{one}": 2, f"photo/{other}": 1, f"{one}/{one}": 1, f"{one}/{other}": 2})
    domains = image_folder(root)
    assert set(domains) == {"art", "photo", "caf\u00e9"}
    assert all(domain.class_names == ("caf\u00e9",) for domain in domains.values())
    assert len(image_folder(root, [other])["caf\u00e9"]) == 3
    assert {path.parent.name for path in domains["caf\u00e9"].paths} == {one, other}
