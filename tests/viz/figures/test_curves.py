import pytest

from tpsnet.evaluation import evaluate
from tpsnet.types import InputError
from tpsnet.viz.figures.curves import comparison_bars, precision_bars, training_curves
from tpsnet.viz.house import FAINT, PALETTE

HISTORY = [
    {"stage": "prompts", "epoch": 0, "loss": 3.0, "i2t": 1.0, "repaired": 0.25, "seconds": 1.0},
    {"stage": "prompts", "epoch": 1, "loss": 2.0, "i2t": 0.5, "repaired": 0.5, "seconds": 1.0},
    {"stage": "network", "epoch": 0, "loss": 1.0, "pce": 0.7, "seconds": 9.0},
]


def test_each_number_of_the_log_is_a_line_in_its_stage():
    figure = training_curves(HISTORY)
    lines = {(t.name, t.xaxis, t.yaxis): (list(t.x), list(t.y)) for t in figure.data}
    assert lines == {
        ("loss", "x", "y"): ([1, 2], [3.0, 2.0]),
        ("i2t", "x", "y"): ([1, 2], [1.0, 0.5]),
        ("repaired", "x3", "y3"): ([1, 2], [0.25, 0.5]),  # the panel below: a share is no loss
        ("loss", "x2", "y2"): ([1], [1.0]),
        ("pce", "x2", "y2"): ([1], [0.7]),
    }
    assert [t.name for t in figure.data if t.showlegend] == ["loss", "i2t", "repaired", "pce"]
    assert [a.text for a in figure.layout.annotations] == ["prompts", "network"]


def test_no_history_is_refused():
    with pytest.raises(InputError, match="empty"):
        training_curves([])


def test_bars_show_the_scores_and_their_protocol(domain, noisier):
    line, flat = domain("line", 24), domain("flat", 20)
    scores = {
        "line → flat": {"frozen": evaluate(noisier(line), noisier(flat)), "TPSNet": evaluate(line, flat)},
        "flat → line": {"frozen": evaluate(noisier(flat), noisier(line)), "TPSNet": evaluate(flat, line)},
    }
    figure = precision_bars(scores)
    assert [(t.name, t.xaxis) for t in figure.data] == [
        ("frozen", "x"),
        ("TPSNet", "x"),
        ("frozen", "x2"),
        ("TPSNet", "x2"),
    ]
    results = [result for systems in scores.values() for result in systems.values()]
    for trace, result in zip(figure.data, results, strict=True):
        assert list(trace.x) == ["P@1", "P@5", "P@15", "mAP@All"]
        assert list(trace.y) == pytest.approx([*result.precision.values(), result.mean_ap], abs=0.006)
    notes = " ".join(a.text for a in figure.layout.annotations)
    assert "24 queries" in notes
    assert "min(k, n_q)" in notes


def test_methods_stand_side_by_side_in_each_setting(domain, noisier):
    line, flat = domain("line", 24), domain("flat", 20)
    good, bad = evaluate(line, flat), evaluate(noisier(line), noisier(flat))
    figure = comparison_bars({"closed": {"frozen CLIP": bad, "UEM": good}, "open": {"UEM": bad}})
    assert [(t.name, t.x) for t in figure.data] == [("frozen CLIP", ("closed",)), ("UEM", ("closed", "open"))]
    assert figure.data[1].y == pytest.approx((good.mean_ap, bad.mean_ap), abs=0.006)
    assert figure.layout.xaxis.categoryarray == ("closed", "open")
    assert figure.data[0].marker.color == FAINT and figure.data[1].marker.color == PALETTE[0]
    many = {f"UEM {i}": good for i in range(9)} | {f"frozen {i}": bad for i in range(3)}
    assert len(comparison_bars({"closed": many}).data) == 12
