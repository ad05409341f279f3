"""Failures: hubs, style before class and flipped queries, by hand and against loops."""

import dataclasses

import pytest
import torch

from tpsnet.errors import InputError
from tpsnet.evaluation import flipped, hubs, style_before_class


def test_hubs_by_hand(embeddings, circle):
    """Three queries near one image: it is returned three times, twice to another class."""
    query = embeddings("a", circle(0, 5, 10), [0, 1, 2])
    gallery = embeddings("b", circle(4, 90, 180, 270), [0, 1, 2, 3])
    found = hubs(query, gallery, 1)
    assert found.occurrence.tolist() == [3, 0, 0, 0] and found.wrong.tolist() == [2, 0, 0, 0]
    # Mean 3/4; deviations 9/4 and −3/4: third moment (729 − 3·27)/256, second (81 + 3·9)/64.
    assert found.skewness == pytest.approx((648 / 256) / (108 / 64) ** 1.5)
    away = dataclasses.replace(query, rejected=torch.tensor([False, True, True]))
    assert hubs(away, gallery, 1).occurrence.tolist() == [1, 0, 0, 0]
    assert hubs(query, gallery, 4).skewness == 0.0


def test_style_before_class_is_the_slow_one(embeddings, unit):
    query = embeddings("a", unit(20, 3), torch.arange(20) % 3)
    gallery = embeddings("b", unit(15, 3), torch.arange(15) % 3)
    found = style_before_class(query, gallery)
    for q in range(20):
        pool = [(float(query.vectors[q] @ x), "b", i) for i, x in enumerate(gallery.vectors)]
        pool += [(float(query.vectors[q] @ query.vectors[i]), "a", i) for i in range(20) if i != q]
        _, domain, nearest = max(pool)
        wins = domain == "a" and query.labels[nearest] != query.labels[q]
        assert found[q] == (nearest if wins else -1)
    assert 0 < (found >= 0).sum() < 20


def test_copies_of_a_query_are_its_own_style(embeddings, circle):
    """Of equal images the first of the file stands before the query itself; none is mistaken for it."""
    gallery = embeddings("b", circle(40), [0])
    for labels, expected in (([0, 0, 0], [-1] * 3), ([0, 1, 2], [1, 0, 0])):
        assert style_before_class(embeddings("a", circle(0, 0, 0), labels), gallery).tolist() == expected
    with pytest.raises(InputError, match="a second image"):
        style_before_class(embeddings("a", circle(0), [0]), gallery)


def test_flipped_queries(embeddings, circle):
    gallery = embeddings("b", circle(0, 90), [0, 1])
    before = embeddings("a", circle(10, 80, 20, 70), [0, 1, 1, 0])
    after = embeddings("a", circle(80, 70, 85, 60), [0, 1, 1, 0])
    gained, lost = flipped((before, gallery), (after, gallery))
    assert (gained.tolist(), lost.tolist()) == ([2], [0])
    away = dataclasses.replace(after, rejected=torch.tensor([False, True, True, False]))
    gained, lost = flipped((before, gallery), (away, gallery))
    assert (gained.tolist(), lost.tolist()) == ([], [0, 1])
    with pytest.raises(InputError, match="different images"):
        flipped((before, gallery), (embeddings("c", circle(1, 2, 3, 4), [0, 1, 1, 0]), gallery))
