"""Label spaces: sizes, draws, and domains that cannot be divided."""

import dataclasses
from pathlib import Path

import pytest
import torch

from tpsnet.data import restrict
from tpsnet.errors import InputError
from tpsnet.types import Domain

NAMES = tuple("abcdefghijklmnop")


def domain(name: str, classes: range, each: int = 2) -> Domain:
    labels = torch.tensor([c for c in classes for _ in range(each)])
    return Domain(name, tuple(Path(f"{name}{i}") for i in range(len(labels))), labels, NAMES)


QUERY, GALLERY = domain("line", range(14)), domain("flat", range(1, 16), each=3)  # 13 shared classes


def classes(d: Domain) -> set[int]:
    return set(d.labels.tolist())


def restricted(query: Domain, gallery: Domain, spaces: str, seed: int) -> tuple[Domain, Domain]:
    queries, items = restrict(query, gallery, spaces, seed)
    return query.subset(queries), gallery.subset(items)


@pytest.mark.parametrize(
    ("spaces", "n_query", "n_gallery", "common"),
    [("closed", 13, 13, 13), ("partial", 6, 13, 6), ("open", 13, 6, 6), ("opda", 3, 12, 2)],
)
def test_sizes(spaces, n_query, n_gallery, common):
    query, gallery = restricted(QUERY, GALLERY, spaces, seed=0)
    assert (len(classes(query)), len(classes(gallery))) == (n_query, n_gallery)
    assert len(classes(query) & classes(gallery)) == common
    assert classes(query) | classes(gallery) <= set(range(1, 14))
    assert len(query) == 2 * n_query and len(gallery) == 3 * n_gallery


def test_images_keep_their_labels_and_order():
    query, _ = restricted(QUERY, GALLERY, "partial", seed=1)
    positions = [QUERY.paths.index(p) for p in query.paths]
    assert positions == sorted(positions)
    assert torch.equal(query.labels, QUERY.labels[positions]) and query.class_names == NAMES


def test_the_seed_draws():
    draws = [classes(restricted(QUERY, GALLERY, "open", seed)[1]) for seed in (0, 0, 1, 2)]
    assert draws[0] == draws[1] and len({frozenset(d) for d in draws}) > 1


def test_office_home_is_divided_as_in_the_literature():
    names = tuple(str(i) for i in range(65))
    whole = [
        Domain(n, tuple(Path(str(i)) for i in range(65)), torch.arange(65), names) for n in ("Art", "Real")
    ]
    query, gallery = restricted(*whole, "opda", seed=0)
    assert (len(classes(query)), len(classes(gallery)), len(classes(query) & classes(gallery))) == (
        15,
        60,
        10,
    )


def test_what_cannot_be_divided_is_one_line():
    one = domain("line", range(3, 4))
    assert [len(x) for x in restrict(one, GALLERY, "closed", 0)] == [2, 3]
    for spaces in ("partial", "open", "opda"):
        with pytest.raises(InputError, match="share 1 classes, too few"):
            restrict(one, GALLERY, spaces, 0)
    with pytest.raises(InputError, match="no class in common"):
        restrict(domain("line", range(1)), GALLERY, "open", 0)
    with pytest.raises(InputError, match="no label spaces 'half'"):
        restrict(QUERY, GALLERY, "half", 0)
    with pytest.raises(InputError, match="different class tables"):
        restrict(QUERY, dataclasses.replace(GALLERY, class_names=NAMES[:-1]), "open", 0)
