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
    files = ["b.JPG", "a.webp", "d.Bmp", "c.jpeg", "e.png", ".hidden.png", "notes.txt", "png"]
    for name in files:
        (root / "art/ant" / name).touch()
    (root / "art/ant/folder.png").mkdir()
    (root / "art/stray.png").touch()
    (root / "readme.txt").touch()
    (root / ".git").mkdir()
    (root / "art/.thumbnails").mkdir()
    names = [p.name for p in image_folder(root)["art"].paths]
    assert names == ["a.webp", "b.JPG", "c.jpeg", "d.Bmp", "e.png"]


@pytest.mark.parametrize(
    "classes, names, words",
    [
        ({}, None, "no domain folder"),
        ({"art": 0}, None, "domain 'art' has no class folder"),
        ({"art/ant": 1, "art/bee": 0}, None, "class folder art/bee"),
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
