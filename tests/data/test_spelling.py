"""Classes that are spelt in two ways: what is told, what is refused, and the file that mends it."""

import unicodedata

import pytest

from tpsnet.data import Spelling, image_folder, listed, load_pair, shared_classes, zero_shot_split
from tpsnet.errors import InputError


def told(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records]


ALIKE = [
    ("ball", "Ball"),
    ("box", "box_"),
    ("ice cream", "ice-cream"),
    ("T-shirt", "tshirt"),
    ("ｆｏｘ", "fox"),
]
ALIKE += [
    ("berry", "berries"),
    ("knife", "Knives"),
    ("bus", "buses"),
    ("leaf", "leaves"),
    ("STRASSE", "straße"),
]
ALIKE += [("ant", "ant ")]


@pytest.mark.parametrize("names", ALIKE, ids=" ".join)
@pytest.mark.parametrize("turned", [False, True])
def test_one_class_spelt_in_two_ways_is_told_with_what_it_costs(tree, caplog, names, turned):
    one, other = names[::-1] if turned else names
    root = tree({f"art/{one}": 3, f"photo/{other}": 2, "art/zebra": 1, "photo/zebra": 1})
    domains = image_folder(root)
    (line,) = told(caplog)
    assert f"{one!r} in art" in line and f"{other!r} in photo" in line and "5 images as queries" in line
    assert len(domains["art"].class_names) == 3, "it is told, not mended"
    with pytest.raises(InputError, match="5 images as queries") as error:
        image_folder(root, spelling=Spelling(strict=True))
    assert "\n" not in str(error.value)


DIFFERENT = [
    {"art/cap": 1, "photo/cape": 1},
    {"art/c": 1, "photo/c++": 1},
    {"art/glass": 1, "art/glasses": 1, "photo/glass": 1, "photo/glasses": 1},
    {"art/ball": 1, "art/Ball": 1, "photo/ant": 1},
    {"art/कि": 1, "photo/का": 1},
]


@pytest.mark.parametrize("classes", DIFFERENT, ids=lambda c: "-".join(c).replace("/", ":"))
def test_other_classes_are_let_be(tree, caplog, classes):
    image_folder(tree(classes), spelling=Spelling(strict=True))
    assert not told(caplog)


def test_only_what_loses_its_match_is_counted(tree, caplog):
    """``Ball`` has its match in every domain that has ``ball`` too."""
    root = tree(
        {"a/ball": 4, "a/Ball": 1, "b/Ball": 2, "c/ant": 8} | {f"{d}/x{i}": 1 for d in "ab" for i in "12"}
    )
    image_folder(root)
    (line,) = told(caplog)
    assert "4 images as queries" in line and line.startswith(f"{root}: 1 classes")


def test_many_clashes_are_one_line(tree, caplog):
    root = tree({f"{d}/{c}{i}": 1 for d, c in (("a", "x"), ("b", "X")) for i in range(7)})
    image_folder(root)
    (line,) = told(caplog)
    assert "7 classes" in line and "; 2 more)" in line and "14 images" in line


@pytest.fixture
def write(tmp_path):
    def written(text: str | bytes) -> Spelling:
        content = text if isinstance(text, bytes) else text.encode()
        (tmp_path / "classes.txt").write_bytes(content)
        return Spelling(tmp_path / "classes.txt", strict=True)

    return written


def test_a_file_gives_classes_their_names(tree, write, caplog):
    root = tree({"art/ball": 2, "art/box": 1, "photo/Ball": 1, "photo/box_": 1, "photo/big box": 1})
    spelling = write("\ufeff# ours = theirs\r\n\r\nball = Ball\r\n box_=box \nbig box = box\n")
    pair = load_pair(root, ("art", "photo"), 16, spelling=spelling)
    assert pair.class_names == ("Ball", "box") and pair.classes == shared_classes(*pair.domains)
    assert [d.labels.tolist() for d in pair.domains] == [[0, 0, 1], [0, 1, 1]]
    assert [p.parent.name for p in pair.domains[1].paths] == ["Ball", "big box", "box_"], (
        "files stay as they lie"
    )
    assert not told(caplog)


def test_a_name_may_be_meant(tree, write, caplog):
    root = tree({"art/glass": 1, "photo/glasses": 1, "photo/glass ": 1})
    image_folder(root, spelling=write("glasses = glasses\nglass = glass\n"))
    assert not told(caplog)


def test_a_line_that_names_nothing_is_told(tree, write, caplog):
    image_folder(tree({"art/ball": 1}), spelling=write("bal = Ball\nball = Ball"))
    (line,) = told(caplog)
    assert "1 of 2 lines" in line and "'bal'" in line and "did you mean 'ball'" in line


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ball Ball", "line 1: write it as FOLDER = CLASS"),
        ("\n= Ball", "line 2: write it as"),
        ("ball = ", "line 1: write it as"),
        ("ball = a/b", "line 1: write it as"),
        ("ball = ..", "line 1: write it as"),
        ("ball = Ball\nball = box", "line 2: 'ball' has two names"),
        (b"\xff\xfe", "cannot read .*classes.txt"),
    ],
)
def test_a_wrong_file_is_one_line(tree, write, text, words):
    with pytest.raises(InputError, match=words) as error:
        image_folder(tree({"art/ball": 1}), spelling=write(text))
    assert "\n" not in str(error.value) and "classes.txt" in str(error.value)


def test_an_absent_file_is_one_line(tree, tmp_path):
    with pytest.raises(InputError, match="No such file"):
        image_folder(tree({"art/ball": 1}), spelling=Spelling(tmp_path / "absent"))


def test_the_fingerprint_is_of_the_names(write):
    assert Spelling().fingerprint() == {} == Spelling(strict=True).fingerprint()
    first, same = (write(text).fingerprint() for text in ("a = b\nc = d", "# x\nc=d\na=b"))
    assert first == same != write("a = b").fingerprint()


def test_lists_and_splits_take_either_unicode_form(tree, tmp_path):
    composed, apart = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    classes = {f"{d}/{c}": 1 for d in ("clipart", "real") for c in (apart, "ant", "bee", "cat")}
    domains = image_folder(tree(classes))
    (tmp_path / "clipart_train.txt").write_text(f"clipart/{composed}/000.png 3\n", encoding="utf-8")
    assert listed(domains["clipart"], tmp_path, "train") == [2]
    assert zero_shot_split(*domains.values(), [apart]).unseen == (2,)
