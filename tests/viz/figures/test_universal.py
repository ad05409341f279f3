import pytest
import torch

from tpsnet.errors import InputError
from tpsnet.viz.figures import elbow_curves, prototype_map, rejection_distances


def test_the_elbow_is_marked_on_its_curve():
    figure = elbow_curves({"line": ((2, 4, 8), (9.0, 3.0, 1.0), 4), "flat": ((2, 3), (5.0, 4.0), 2)})
    lines, marks = figure.data[::2], figure.data[1::2]
    assert [(t.name, list(t.x), list(t.y)) for t in lines] == [
        ("line", [2, 4, 8], [9.0, 3.0, 1.0]),
        ("flat", [2, 3], [5.0, 4.0]),
    ]
    assert [(t.x[0], t.y[0], t.text[0]) for t in marks] == [(4, 3.0, "4"), (2, 5.0, "2")]


def test_merged_pairs_are_linked_and_distances_in_the_plane_are_kept(rng):
    """Points of a plane, turned into five dimensions: what is drawn is the plane again."""
    turn, _ = torch.linalg.qr(torch.randn(5, 5, generator=rng))
    own, moved = (torch.randn(n, 2, generator=rng) @ turn[:2] for n in (4, 6))
    other = moved - 3 * turn[0]
    pairs = torch.tensor([[0, 5], [2, 1]])
    figure = prototype_map(own, other, moved, pairs, ("line", "flat"))
    links, *points = figure.data
    drawn = [torch.tensor([t.x, t.y]).T for t in points]
    for found, expected in zip(drawn, (own, other, own, moved), strict=True):
        torch.testing.assert_close(
            torch.cdist(found, drawn[0]), torch.cdist(expected, own), atol=1e-4, rtol=0
        )
    ends = [(links.x[i], links.y[i]) for i in range(6) if links.x[i] is not None]
    expected = [row for a, b in pairs.tolist() for row in (drawn[2][a].tolist(), drawn[3][b].tolist())]
    assert torch.tensor(ends).sub(torch.tensor(expected)).abs().max() < 1e-5
    assert links.x[2] is None and "2 pairs merge" in figure.layout.annotations[1].text
    assert [t.name for t in points if t.showlegend] == ["line", "flat"]


def test_distances_count_the_queries_and_the_errors():
    distance = torch.tensor([0.1, 0.5, 0.9, 1.2, 0.3, 9.0])
    threshold = torch.tensor([1.0, 1.0, 1.0, 1.0, -torch.inf, 1.0])
    without_match = torch.tensor([False, True, False, False, True, True])
    figure = rejection_distances(distance, threshold, without_match)
    assert [t.name for t in figure.data] == ["with a match", "without a match"]
    match, none = (dict(zip(t.x, t.y, strict=True)) for t in figure.data)
    assert sum(match.values()) == 3 and sum(none.values()) == 3
    assert sum(n for x, n in none.items() if x > 1.6) == 1  # the one whose cluster found no partner
    assert sum(n for x, n in match.items() if x > 1) == 1
    title = "1 of 3 queries with a match rejected, 1 of 3 without a match kept"
    assert figure.layout.title.text == title
    with pytest.raises(InputError, match="no queries"):
        rejection_distances(distance[:0], threshold[:0], without_match[:0])
