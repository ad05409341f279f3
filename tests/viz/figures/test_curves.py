import pytest

from tpsnet.errors import InputError
from tpsnet.viz.figures import training_curves
from tpsnet.viz.theme import INK


def row(stage, epoch, losses, shares):
    return {"stage": stage, "epoch": epoch, "losses": losses, "shares": shares, "seconds": 1.0}


HISTORY = [
    row("prompts", 0, {"loss": 3.0, "i2t": 1.0}, {"repaired": 0.25}),
    row("prompts", 1, {"loss": 2.0, "i2t": 0.5}, {"repaired": 0.5, "kept": 1}),
    row("network", 0, {"loss": 1.0, "pce": 0.7}, {}),
]


def test_each_number_of_the_log_is_a_line_in_its_stage():
    figure = training_curves(HISTORY)
    lines = {(t.name, t.xaxis, t.yaxis): (list(t.x), list(t.y)) for t in figure.data}
    assert lines == {
        ("loss", "x", "y"): ([1, 2], [3.0, 2.0]),
        ("loss", "x2", "y2"): ([1], [1.0]),
        ("i2t", "x", "y"): ([1, 2], [1.0, 0.5]),
        ("pce", "x2", "y2"): ([1], [0.7]),
        ("repaired", "x3", "y3"): ([1, 2], [0.25, 0.5]),  # the panel below: a share is no loss
        ("kept", "x3", "y3"): ([2], [1]),
    }
    assert [t.name for t in figure.data if t.showlegend] == ["loss", "i2t", "pce", "repaired", "kept"]
    assert [a.text for a in figure.layout.annotations] == ["prompts", "network"]


def test_losses_differ_by_colour_and_shares_by_dash():
    figure = training_curves(HISTORY)
    styles = {t.name: (t.line.color, t.line.dash) for t in figure.data}
    assert len({styles[name] for name in ("loss", "i2t", "pce")}) == 3
    assert styles["repaired"] == (INK, "solid") and styles["kept"] == (INK, "dot")
    first, second = (t for t in figure.data if t.name == "loss")
    assert first.line == second.line  # one name, one style in every stage


def test_no_history_is_refused():
    with pytest.raises(InputError, match="empty"):
        training_curves([])
