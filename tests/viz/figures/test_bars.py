import pytest

from tpsnet.evaluation import evaluate
from tpsnet.evaluation.protocol import protocol_card
from tpsnet.viz.figures import ablation_bars, comparison_bars, precision_bars
from tpsnet.viz.theme import AFTER, BEFORE, FAINT, PALETTE


def test_bars_show_the_scores_and_their_protocol(domain, noisier):
    line, flat = domain("line", 24), domain("flat", 20)
    scores = {
        "line → flat": {"frozen": evaluate(noisier(line), noisier(flat)), "TPSNet": evaluate(line, flat)},
        "flat → line": {"frozen": evaluate(noisier(flat), noisier(line)), "TPSNet": evaluate(flat, line)},
    }
    card = protocol_card(scores["line → flat"]["TPSNet"], label_spaces="closed")
    figure = precision_bars(scores, card)
    assert [(t.name, t.xaxis, t.marker.color) for t in figure.data] == [
        ("frozen", "x", FAINT),
        ("TPSNet", "x", AFTER),
        ("frozen", "x2", FAINT),
        ("TPSNet", "x2", AFTER),
    ]
    results = [result.metrics() for systems in scores.values() for result in systems.values()]
    names = ["mAP", "P@1", "P@5", "P@15"]
    for trace, result in zip(figure.data, results, strict=True):
        assert list(trace.x) == names
        assert list(trace.y) == pytest.approx([result[name] for name in names], abs=0.006)
    notes = " ".join(a.text for a in figure.layout.annotations).replace("<br>", " ")
    assert all(line in notes for line in card.lines())


def test_methods_stand_side_by_side_in_each_protocol(domain, noisier):
    line, flat = domain("line", 24), domain("flat", 20)
    good, bad = evaluate(line, flat), evaluate(noisier(line), noisier(flat))
    scores = {"closed": {"plain": bad, "UEM": good}, "open": {"UEM": bad}}
    figure = comparison_bars(scores, baselines=("plain", "absent"))
    assert [(t.name, t.x) for t in figure.data] == [("plain", ("closed",)), ("UEM", ("closed", "open"))]
    expected = [result.metrics()["mAP"] for result in (good, bad)]
    assert figure.data[1].y == pytest.approx(expected, abs=0.006)
    assert figure.layout.xaxis.categoryarray == ("closed", "open")
    assert figure.data[0].marker.color == FAINT and figure.data[1].marker.color == PALETTE[0]
    assert comparison_bars(scores, ("UEM",)).data[0].marker.color == PALETTE[0]
    many = {f"method {i}": good for i in range(9)} | {f"plain {i}": bad for i in range(3)}
    bars = comparison_bars({"closed": many}, [f"plain {i}" for i in range(3)]).data
    assert len(bars) == 12
    assert len({bar.marker.color for bar in bars if bar.name.startswith("plain")}) == 3


def test_ablation_bars_have_a_panel_a_metric():
    figure = ablation_bars({"UEM": {"mAP": 50.0, "H": 60.0}, "no SEL": {"mAP": 40.0, "H": None}})
    assert [(list(t.x), list(t.text), list(t.y), t.xaxis) for t in figure.data] == [
        ([50.0, 40.0], ["50.0", "40.0"], ["UEM", "no SEL"], "x"),
        ([60.0, None], ["60.0", ""], ["UEM", "no SEL"], "x2"),
    ]
    assert figure.data[0].marker.color == (AFTER, BEFORE)
