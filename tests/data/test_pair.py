"""Two domains side by side: labels and images stay in step through every choice."""

import pytest
import torch

from tpsnet.data import LABEL_SPACES, Pair, image_folder, load_images, load_pair, restrict
from tpsnet.errors import InputError


@pytest.fixture
def root(tree):
    classes = {f"{domain}/{name}": 2 for domain in ("flat", "line") for name in ("ant", "cat", "dog", "emu")}
    return tree(classes | {"line/bee": 3, "other/yak": 1})


def in_step(pair: Pair) -> bool:
    """Whether the images are those of the labelled domains, one for one."""
    return all(
        torch.equal(load_images(domain, 16)[1].pixels, images.pixels) and domain.name == images.name
        for domain, images in zip(pair.domains, pair.images, strict=True)
    )


def test_names_classes_and_rows(root):
    pair = load_pair(root, ("line", "flat"), 16)
    assert pair.names == ("line", "flat") and in_step(pair)
    assert pair.classes == (0, 1, 2, 3, 4) and pair.n_classes == 5
    assert pair.class_names == ("ant", "bee", "cat", "dog", "emu")
    assert pair.images[0].pixels.shape == (11, 3, 16, 16)


def test_rows_are_those_of_the_class_names(root):
    pair = load_pair(root, ("line", "flat"), 16)
    some = pair.subset(([10, 4, 5], [6, 3]))
    assert in_step(some) and some.class_names == ("bee", "cat", "emu")
    for domain, rows in zip(some.domains, some.class_rows, strict=True):
        named = [some.class_names[row] for row in rows]
        assert named == [domain.class_names[label] for label in domain.labels]
        assert named == [path.parent.name for path in domain.paths]


def test_the_first_classes(root):
    pair = load_pair(root, ("line", "flat"), 16, classes=2)
    assert in_step(pair) and pair.class_names == ("ant", "bee")
    assert [len(domain) for domain in pair.domains] == [5, 2]


@pytest.mark.parametrize("spaces", LABEL_SPACES[:3])
def test_label_spaces_are_those_of_restrict(root, spaces):
    pair = load_pair(root, ("line", "flat"), 16)
    found = pair.restrict(spaces, seed=1)
    assert in_step(found)
    for domain, whole, keep in zip(
        found.domains, pair.domains, restrict(*pair.domains, spaces, 1), strict=True
    ):
        assert domain.paths == tuple(whole.paths[i] for i in keep)


def test_unreadable_images_leave_both(root):
    image_folder(root)["line"].paths[3].write_bytes(b"")
    pair = load_pair(root, ("line", "flat"), 16)
    assert in_step(pair) and len(pair.domains[0]) == len(pair.images[0]) == 10


def test_domains_without_a_class_in_common(root):
    with pytest.raises(InputError, match="no class in common"):
        load_pair(root, ("line", "other"), 16)
