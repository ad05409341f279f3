import pytest
import torch

from tpsnet.types import InputError
from tpsnet.viz.figures import ablation_bars, elbow_curves, prototype_map, verdicts


def test_the_elbow_is_marked_on_its_curve():
    figure = elbow_curves({"line": ((2, 4, 8), (9.0, 3.0, 1.0), 4), "flat": ((2, 3), (5.0, 4.0), 2)})
    lines, marks = figure.data[::2], figure.data[1::2]
    assert [(t.name, list(t.x), list(t.y)) for t in lines] == [
        ("line", [2, 4, 8], [9.0, 3.0, 1.0]),
        ("flat", [2, 3], [5.0, 4.0]),
    ]
    assert [(t.x[0], t.y[0], t.text[0]) for t in marks] == [(4, 3.0, "4"), (2, 5.0, "2")]


def test_merged_pairs_are_linked_and_distances_in_the_plane_are_kept(rng):
    """Points of a plane, turned into five dimensions: their picture is the plane again."""
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


def test_verdicts_count_the_queries_and_the_errors():
    distance = torch.tensor([0.1, 0.5, 0.9, 1.2, 0.3, 9.0])
    threshold = torch.tensor([1.0, 1.0, 1.0, 1.0, -torch.inf, 1.0])
    private = torch.tensor([False, True, False, False, True, True])
    figure = verdicts(distance, threshold, private)
    match, alone = (dict(zip(t.x, t.y, strict=True)) for t in figure.data)
    assert sum(match.values()) == 3 and sum(alone.values()) == 3
    assert sum(n for x, n in alone.items() if x > 1.6) == 1  # the one whose cluster found no partner
    assert sum(n for x, n in match.items() if x > 1) == 1
    assert figure.layout.title.text == "1 of 3 with a match sent away, 1 of 3 private ones kept"
    with pytest.raises(InputError, match="no queries"):
        verdicts(distance[:0], threshold[:0], private[:0])


def test_ablation_bars_have_a_panel_a_metric():
    figure = ablation_bars({"UEM": {"mAP": 50.0, "H": 60.0}, "no SEL": {"mAP": 40.0, "H": 55.0}})
    assert [(list(t.x), list(t.y), t.xaxis) for t in figure.data] == [
        ([50.0, 40.0], ["UEM", "no SEL"], "x"),
        ([60.0, 55.0], ["UEM", "no SEL"], "x2"),
    ]
