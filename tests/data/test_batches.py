import dataclasses
from itertools import pairwise

import pytest
import torch

from tpsnet.data import Augment, PairedBatches
from tpsnet.errors import InputError
from tpsnet.types import Batch, Images


def numbered(name: str, n: int) -> Images:
    """Images of one colour each: the image tells its own position."""
    return Images(name, torch.arange(n, dtype=torch.uint8).view(n, 1, 1, 1).expand(n, 3, 4, 4).contiguous())


def batches(n1=20, n2=7, batch_size=6, views=0, augment=None, seed=0, device="cpu"):
    return PairedBatches(numbered("a", n1), numbered("b", n2), batch_size, views, augment, seed, device)


def order(paired: PairedBatches, domain: int, epoch: int = 0) -> list[int]:
    return torch.cat([pair[domain].index for pair in paired.epoch(epoch)]).tolist()


def noise(images, generator):
    return images + torch.rand(len(images), 1, 1, 1, generator=generator)


@pytest.mark.parametrize("swap", [False, True])
def test_the_larger_domain_is_seen_once_and_the_smaller_in_whole_rounds(swap):
    paired = batches(7, 20) if swap else batches(20, 7)
    assert len(paired) == len(list(paired.epoch(0))) == 4
    larger, smaller = order(paired, int(swap)), order(paired, int(not swap))
    assert len(larger) == len(smaller) == 24
    assert sorted(larger[:20]) == list(range(20))
    rounds = [smaller[i : i + 7] for i in range(0, 21, 7)]
    assert all(sorted(r) == list(range(7)) for r in rounds)
    assert all(a != b for a, b in pairwise(rounds)), "each round has its own shuffle"


def test_every_batch_is_full_and_knows_its_domain():
    for first, second in batches().epoch(0):
        assert len(first.index) == len(second.index) == 6
        assert (first.domain, second.domain) == (0, 1)


@pytest.mark.parametrize(
    "n1, n2, batch_size, steps", [(6, 6, 6, 1), (7, 6, 6, 2), (12, 1, 6, 2), (3, 2, 8, 1), (2, 3, 10**9, 1)]
)
def test_lengths(n1, n2, batch_size, steps):
    paired = batches(n1, n2, batch_size)
    assert len(paired) == len(list(paired.epoch(0))) == steps
    assert len(order(paired, 1)) == steps * min(
        batch_size, max(n1, n2)
    )  # no repeats beyond the larger domain


def test_the_views_are_the_images_of_the_indices():
    for first, second in batches(views=1).epoch(0):
        for batch in (first, second):
            assert batch.view2 is None
            expected = (batch.index / 255).view(-1, 1, 1, 1).expand(-1, 3, 4, 4)
            torch.testing.assert_close(batch.view1, expected)


def test_no_view_is_made_when_none_is_asked_for():
    def refuse(*_):
        raise AssertionError

    for pair in batches(views=0, augment=refuse).epoch(0):
        assert all(b.view1 is None and b.view2 is None for b in pair)


def test_two_views_are_independent():
    for pair in batches(views=2, augment=noise).epoch(0):
        for batch in pair:
            assert (batch.view1 != batch.view2).all()


def test_with_the_real_augmentation():
    first, second = next(batches(views=2, augment=Augment()).epoch(0))
    assert first.view1.shape == second.view2.shape == (6, 3, 4, 4)


@pytest.mark.parametrize("views", [0, 2])
def test_an_epoch_can_be_repeated_without_the_ones_before(views):
    """A resumed run sees what an uninterrupted one sees."""
    walked, resumed = batches(views=views, augment=noise), batches(views=views, augment=noise)
    for number in range(3):
        last = list(walked.epoch(number))
    for pair, again in zip(last, resumed.epoch(2), strict=True):
        for batch, same in zip(pair, again, strict=True):
            assert torch.equal(batch.index, same.index)
            if views:
                assert torch.equal(batch.view1, same.view1) and torch.equal(batch.view2, same.view2)


def test_an_epoch_left_early_leaves_no_trace():
    paired = batches(views=1, augment=noise)
    next(paired.epoch(0))
    assert order(paired, 0, epoch=1) == order(batches(views=1, augment=noise), 0, epoch=1)


def test_order_does_not_depend_on_the_views():
    assert order(batches(views=0), 0) == order(batches(views=2, augment=noise), 0)


def test_seeds_epochs_and_domains_differ():
    seen = [tuple(order(batches(20, 20, seed=s), d, e)) for s in (0, 1) for e in (0, 1) for d in (0, 1)]
    assert len(set(seen)) == 8


def test_global_randomness_is_neither_used_nor_changed():
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = order(batches(views=1, augment=Augment()), 0)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    assert order(batches(views=1, augment=Augment()), 0) == first


def test_neither_a_batch_nor_its_images_have_a_label():
    assert {f.name for f in dataclasses.fields(Batch)} == {"view1", "view2", "index", "domain"}
    assert {f.name for f in dataclasses.fields(Images)} == {"name", "stored", "rows"}


@pytest.mark.parametrize(
    "changes, words",
    [({"n2": 0}, "'b'"), ({"batch_size": 0}, "batch_size"), ({"views": 3}, "views"), ({"seed": -1}, "seed")],
)
def test_bad_numbers(changes, words):
    with pytest.raises(InputError, match=words):
        batches(**changes)
