"""Arrows between texts: ends, lengths and what is refused."""

import pytest
import torch

from tpsnet.errors import InputError
from tpsnet.viz.figures import text_map_arrows


def test_arrows_run_from_each_word_to_itself(rng):
    """In two dimensions the plane is the space itself, turned."""
    start, goal = torch.randn(5, 2, generator=rng), torch.randn(5, 2, generator=rng)
    figure = text_map_arrows(start, goal, goal, list("abcde"), ("line", "flat"))
    before, after = figure.data[0], figure.data[3]
    ends = torch.tensor(
        [[before.x[i], before.y[i], before.x[i + 1], before.y[i + 1]] for i in range(0, 15, 3)]
    )
    lengths = (ends[:, :2] - ends[:, 2:]).norm(dim=1)
    torch.testing.assert_close(lengths, (start - goal).norm(dim=1), atol=1e-5, rtol=1e-5)
    assert all(after.x[i] == pytest.approx(after.x[i + 1]) for i in range(0, 15, 3))  # mapped onto its goal
    titles = [a.text for a in figure.layout.annotations]
    assert titles == [f"as they are: mean arrow {lengths.mean():.2f}", "mapped: mean arrow 0.00"]
    assert [t.name for t in figure.data if t.showlegend] == ["line", "flat"]
    assert list(figure.data[1].text) == list("abcde")


def test_each_word_needs_its_texts():
    rows = torch.eye(3)
    for args in ((rows, rows, rows[:2], "abc"), (rows, rows, rows, "ab"), (*[rows[:0]] * 3, "")):
        with pytest.raises(InputError, match="one of each a word"):
            text_map_arrows(*args[:3], list(args[3]), ("line", "flat"))
