"""A download beside what was published."""

import dataclasses

import pytest

from tpsnet.data import DATASETS, Dataset, DomainFacts, differences, image_folder

SMALL = Dataset(
    name="small",
    title="Small",
    domains=(
        DomainFacts("art", images=3),
        DomainFacts("photo", known_as=("real",), images=2, lacks=("cat",)),
        DomainFacts("sketch"),
    ),
    classes=("ant", "cat"),
    page="https://example.org",
    lists=("", "lists"),
)
WHOLE = {"art/ant": 1, "art/cat": 2, "real/ant": 2, "sketch/ant": 1, "sketch/cat": 1}


def compared(root, names=(), dataset=SMALL):
    return differences(dataset, root, image_folder(root, dataset=dataset), names)


def test_a_whole_download_has_no_differences(tree):
    """Photo may lack cats, and how many sketches there are is not known."""
    found = compared(tree(WHOLE))
    assert found.lacking == found.superfluous == ()


@pytest.mark.parametrize(
    ("changed", "lacking", "superfluous"),
    [
        ({"sketch/ant": 0, "sketch/cat": 0}, ("missing domains, 1 of 3: sketch",), ()),
        ({"art/ant": 0, "art/cat": 3}, ("missing classes, 1 in all: art/ant",), ()),
        ({"sketch/cat": 0}, ("missing classes, 1 in all: sketch/cat",), ()),
        ({"art/cat": 1, "real/ant": 1}, ("missing images: art 1 of 3, photo 1 of 2",), ()),
        ({"art/ant": 3}, (), ("superfluous images: art 2 of 3",)),
        (
            {"art/ant": 0, "real/ant": 4},
            ("missing classes, 1 in all: art/ant", "missing images: art 1 of 3"),
            ("superfluous images: photo 2 of 2",),
        ),
    ],
)
def test_differences_are_a_line_a_kind(tree, changed, lacking, superfluous):
    classes = {folder: n for folder, n in (WHOLE | changed).items() if n}
    found = compared(tree(classes))
    assert (found.lacking, found.superfluous) == (lacking, superfluous)


def test_only_the_domains_that_are_asked_for_count(tree):
    root = tree({"art/ant": 1, "art/cat": 2})
    assert compared(root, ["ART"]).lacking == ()
    assert compared(root, ["art", "real"]).lacking == ("missing domains, 1 of 2: photo",)


def test_what_lies_beside_the_domains_is_named_but_for_lists_and_litter(tree):
    root = tree({**WHOLE, "drafts/ant": 1, "lists": 0})
    for name in ("art_train.txt", "readme.txt", ".DS_Store", "Thumbs.db", "art.zip"):
        (root / name).touch()
    line = "superfluous files and folders beside the domains: drafts, art.zip, readme.txt"
    assert compared(root).superfluous == (line,)


def test_long_lists_are_cut(tree):
    few = dataclasses.replace(SMALL, classes=tuple(f"c{i:02}" for i in range(12)), domains=SMALL.domains[2:])
    (line,) = compared(tree({"sketch/c03": 1}), dataset=few).lacking
    assert (
        line
        == "missing classes, 11 in all: sketch/c00, sketch/c01, sketch/c02, sketch/c04, sketch/c05 and 6 more"
    )


def test_half_of_office_home_is_known_as_half(tree):
    dataset = DATASETS["office-home"]
    root = tree({f"{place}/{c}": 1 for place in ("Art", "Real_World") for c in dataset.classes[:60]})
    assert compared(root, dataset=dataset).lacking == (
        "missing domains, 2 of 4: Clipart, Product",
        f"missing classes, 10 in all: {', '.join(f'Art/{c}' for c in dataset.classes[60:])} and 5 more",
        "missing images: Art 2,367 of 2,427, Real World 4,297 of 4,357",
    )
