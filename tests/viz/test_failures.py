"""Contact sheets of failures: which images stand on them, in which order, and when there is nothing."""

import dataclasses

import torch

from tpsnet.evaluation import flipped, hubs, style_before_class
from tpsnet.viz import failures
from tpsnet.viz.failures import flip_sheet, hub_sheet, style_sheet


def listen(monkeypatch):
    """What is drawn: rows of tiles and their headings."""
    drawn, draw = [], failures.contact_sheet
    monkeypatch.setattr(
        failures,
        "contact_sheet",
        lambda rows, headings, size: drawn.append((rows, headings)) or draw(rows, headings, size),
    )
    return drawn


def test_hubs_are_the_most_frequent_images(domain, monkeypatch):
    drawn = listen(monkeypatch)
    query, gallery = domain("line", 24), domain("flat", 20)
    sheet = hub_sheet({"UEM": (query, gallery)}, k=5, shown=3)
    found = hubs(query, gallery, 5)
    (row,), (heading,) = drawn[0]
    most = found.occurrence.argsort(descending=True, stable=True)[:3]
    assert [tile.image for tile in row] == [gallery.paths[i] for i in most]
    assert row[0].caption == f"{int(found.occurrence.max())}, {int(found.wrong[most[0]])} wrong"
    assert heading == f"UEM: skewness {found.skewness:.1f}, 6 times each, if all were equal"
    assert sheet.mode == "P" and sheet.width > 3 * 72


def test_style_before_class_shows_query_winner_and_first(domain, monkeypatch):
    drawn = listen(monkeypatch)
    query, gallery = domain("line", 24), domain("flat", 20)
    winner = style_before_class(query, gallery)
    lost = (winner >= 0).nonzero()[:, 0].tolist()
    assert len(lost) > 2
    style_sheet(query, gallery, shown=2)
    (shown, won, first), _ = drawn[0]
    assert [t.image for t in shown] == [query.paths[i] for i in (lost[0], lost[-1])]
    assert [t.image for t in won] == [query.paths[int(winner[i])] for i in (lost[0], lost[-1])]
    nearest = (query.vectors[lost[0]] @ gallery.vectors.T).argmax()
    assert first[0].image == gallery.paths[nearest]
    assert first[0].right == bool(gallery.labels[nearest] == query.labels[lost[0]])
    assert all(t.right is False for t in won)
    clear = domain("solid", 20, noise=0.0)
    assert style_sheet(clear, clear) is None


def test_flipped_queries_stand_with_both_answers(domain, noisier, monkeypatch):
    drawn = listen(monkeypatch)
    before = domain("line", 24), domain("flat", 20)
    after = noisier(before[0]), before[1]
    gained, lost = flipped(before, after)
    assert len(lost) > 0
    flip_sheet(before, after, ("one", "two"), shown=50)
    rows, headings = drawn[0]
    assert [len(r) for r in rows] == [len(x) for x in (gained, lost) if len(x) for _ in range(3)]
    assert headings[-3] == f"lost by two: {len(lost)} of 24 queries"
    assert [t.image for t in rows[-3]] == [before[0].paths[i] for i in lost]
    assert all(t.right is True for t in rows[-2]) and all(t.right is False for t in rows[-1])
    assert headings[-2:] == ["first answer of one", "first answer of two"]
    assert flip_sheet(before, before, ("one", "one")) is None


def test_a_withheld_answer_is_no_right_one(domain, monkeypatch):
    """A query that is lost because it was rejected shows "no match"; hubs count answered queries alone."""
    drawn = listen(monkeypatch)
    query, gallery = domain("line", 24), domain("flat", 20)
    away = dataclasses.replace(query, rejected=torch.arange(24) % 2 == 0)
    gained, lost = flipped((query, gallery), (away, gallery))
    assert len(lost) > 0 and not len(gained)
    flip_sheet((query, gallery), (away, gallery), ("one", "two"))
    assert all(t.right is True for t in drawn[0][0][1])
    assert all(t.right is False and t.caption == "no match" for t in drawn[0][0][2])
    hub_sheet({"two": (away, gallery)}, k=5)
    assert drawn[1][1][0].endswith("3 times each, if all were equal")  # 5 · 12 / 20


def test_a_selection_is_spread_over_all():
    assert failures._spread(torch.arange(100).tolist(), 3) == [0, 49, 99]
    assert failures._spread([4, 7], 3) == [4, 7]
