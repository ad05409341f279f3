"""The search: what its rows may be, and places without the order. Order and scores: the ranking's tests."""

import pytest
import torch

from tpsnet.neighbours import best_first, nearest, placer, places, searcher
from tpsnet.neighbours.search import ENGINES


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", ["array", "gradient", "turned"])
def test_arrays_and_rows_with_a_gradient_are_searched_as_others(unit, engine, kind):
    if engine == "faiss":
        pytest.importorskip("faiss")
    queries, gallery = unit(5, 8).float(), unit(40, 8).float()
    shapes = {
        "array": lambda x: x.numpy(),
        "gradient": lambda x: x.clone().requires_grad_(),
        "turned": lambda x: x.T.contiguous().T,
    }
    ask, known = (shapes[kind](rows) for rows in (queries, gallery))
    expected = nearest(queries, gallery, 3)
    for index, score in (nearest(ask, known, 3, engine=engine), searcher(known, 3, engine)(ask)):
        assert torch.equal(index, expected[0]) and torch.equal(score, expected[1])
        assert not score.requires_grad


DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("values", [1, 3, 60, 10**6], ids=["all tie", "many ties", "ties", "few ties"])
def test_places_are_those_of_the_whole_order(rng, device, values):
    """Up to 300 items of a row share a score, some of it −0 and −∞; columns come in any order, some twice."""
    scores = torch.randint(0, values, (40, 300), generator=rng).float().sub_(values // 2).div_(values)
    scores[:, :3] *= -1
    scores[5, 7:9] = -torch.inf
    columns = torch.randint(0, 300, (40, 120), generator=rng)
    order = best_first(scores, 300)
    slow = [[order[row].tolist().index(c) + 1 for c in own] for row, own in enumerate(columns.tolist())]
    assert places(scores.to(device), columns.to(device)).tolist() == slow


@pytest.mark.parametrize("engine", ENGINES)
def test_the_items_of_a_query_are_placed_as_the_search_finds_them(unit, rng, engine):
    if engine == "faiss":
        pytest.importorskip("faiss")
    gallery = unit(60, 16).float().repeat(3, 1)
    queries, items = unit(9, 16).float(), torch.randint(0, 180, (9, 20), generator=rng)
    order, _ = searcher(gallery, 180)(queries)
    found = placer(gallery, engine)(queries, items)
    assert order.gather(1, found - 1).equal(items)
