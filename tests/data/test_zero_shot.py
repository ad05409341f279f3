"""The class split: by names, by seed, what it keeps apart, and what cannot be split."""

from pathlib import Path

import pytest
import torch

from tpsnet.data import zero_shot_split
from tpsnet.errors import InputError
from tpsnet.types import Domain

NAMES = tuple("abcdefghijkl")


def domain(name: str, classes: range, each: int = 2) -> Domain:
    labels = torch.tensor([c for c in classes for _ in range(each)])
    return Domain(name, tuple(Path(f"{name}{i}") for i in range(len(labels))), labels, NAMES)


QUERY, GALLERY = domain("line", range(11)), domain("flat", range(1, 12), each=3)  # ten shared classes


def labels(d: Domain, positions: list[int]) -> set[int]:
    assert positions == sorted(positions)
    return set(d.subset(positions).labels.tolist())


def test_by_names():
    split = zero_shot_split(QUERY, GALLERY, ["j", "c"])
    assert split.unseen == (2, 9) and split.seen == (1, 3, 4, 5, 6, 7, 8, 10)
    for d, each in ((QUERY, 2), (GALLERY, 3)):
        assert labels(d, split.train(d)) == set(split.seen) and len(split.train(d)) == 8 * each
        assert labels(d, split.test(d)) == {2, 9} and len(split.test(d)) == 2 * each
        assert labels(d, split.generalised(d)) == set(range(1, 11))


def test_by_seed():
    draws = [zero_shot_split(QUERY, GALLERY, seed=seed, share=0.35) for seed in (0, 0, 1, 2)]
    assert draws[0] == draws[1] and len({d.unseen for d in draws}) > 1
    assert all(len(d.unseen) == 3 and {*d.seen, *d.unseen} == set(range(1, 11)) for d in draws)
    assert all(len(d.seen) == 7 and d.unseen == tuple(sorted(d.unseen)) for d in draws)


@pytest.mark.parametrize(
    ("unseen", "changes", "message"),
    [
        ([], {}, "leaves no unseen class"),
        (list("bcdefghijk"), {}, "leaves no seen class"),
        (["c", "zebra"], {}, "no class 'zebra'.*did you mean"),
        (["c", "c"], {}, "names a class twice"),
        (["a"], {}, "class 'a' is not in both 'line' and 'flat'"),
        (None, {"share": 0.05}, "leaves no unseen class"),
        (None, {"share": 1.0}, "share of unseen classes is 1.0"),
        (None, {"share": float("nan")}, "share of unseen classes is nan"),
    ],
)
def test_what_cannot_be_split_is_one_line(unseen, changes, message):
    with pytest.raises(InputError, match=message):
        zero_shot_split(QUERY, GALLERY, unseen, **changes)
