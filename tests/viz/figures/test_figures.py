"""What every figure must be: a plain figure of SVG traces, small, without NaN, in the look."""

import base64
import dataclasses
import html
import json
import math
import re

import numpy as np
import plotly.graph_objects as go
import pytest
import torch

from tpsnet.escape import printable
from tpsnet.evaluation import evaluate
from tpsnet.evaluation.protocol import protocol_card
from tpsnet.viz import figures
from tpsnet.viz.theme import PALETTE, TEMPLATE, class_colours, domain_colours

SVG = {"scatter", "bar", "box", "heatmap"}
NAMELESS = {"rejection_distances", "repairing_by_confidence"}  # figures that show no name


def history(mark=""):
    losses = [{f"{mark}loss": 3.0}, {f"{mark}loss": 2.0}]
    first = [{"stage": f"{mark}prompts", "epoch": e, "losses": x, "shares": {}} for e, x in enumerate(losses)]
    second = {"losses": {f"{mark}loss": 1.5, f"{mark}pce": 1.0}, "shares": {f"{mark}relabelled": 0.2}}
    return [*first, {"stage": f"{mark}network", "epoch": 0, "seconds": 4.0} | second]


def large_map(domain):
    domains = [domain("line", 60), domain("flat", 60)]
    big = [
        type(d)(d.domain, d.vectors.repeat(20, 1), d.labels.repeat(20), d.class_names, d.paths * 20)
        for d in domains
    ]
    points = torch.rand(2400, 2)
    return figures.embedding_maps({"frozen": points, "TPSNet": points.flip(1)}, big)


def all_figures(domain, unit, mark=""):
    """Every figure; all names in it begin with ``mark``."""
    line, flat = domain(f"{mark}line"), domain(f"{mark}flat")
    names = tuple(mark + name for name in line.class_names)
    line, flat = (dataclasses.replace(part, class_names=names) for part in (line, flat))
    pair, few = (line.domain, flat.domain), {"frozen": torch.rand(40, 2)}
    images = torch.rand(3, 3, 32, 32)
    words = [f"{mark}word {i}" for i in range(9)]
    shown = [(images * 255).byte()] * 4
    scores = evaluate(line, flat)
    card = protocol_card(scores, label_spaces=f"{mark}closed")
    group = torch.arange(30) % 4
    return {
        "training_curves": lambda: figures.training_curves(history(mark)),
        "precision_bars": lambda: figures.precision_bars(
            {" → ".join(pair): {f"{mark}frozen": scores}}, card, f"{mark}title"
        ),
        "comparison_bars": lambda: figures.comparison_bars({f"{mark}closed": {f"{mark}UEM": scores}}),
        "embedding_maps": lambda: (
            figures.embedding_maps({f"{mark}frozen": few["frozen"]}, (line, flat))
            if mark
            else large_map(domain)
        ),
        "amplitude_slider": lambda: figures.amplitude_slider(
            images, images.flip(0), lambda a, b, share: a, pair
        ),
        "similarity_boxes": lambda: figures.similarity_boxes(
            {f"{mark}a": torch.rand(20)}, axis=f"{mark}cosine"
        ),
        "image_grid": lambda: figures.image_grid(
            {f"{mark}rgb": images, "phase": torch.randn(3, 1, 32, 32)}, words[:3], title=f"{mark}title"
        ),
        "nearest_words": lambda: figures.nearest_words(unit(4, 6), unit(9, 6), words, shown),
        "prompt_similarity": lambda: figures.prompt_similarity(
            unit(100, 6), unit(100, 6), title=f"{mark}title"
        ),
        "repairing_by_confidence": lambda: figures.repairing_by_confidence(
            group, torch.arange(30) % 3, group, torch.rand(30)
        ),
        "ablation_bars": lambda: figures.ablation_bars({f"{mark}UEM": {f"{mark}, mAP": 50.0}}),
        "elbow_curves": lambda: figures.elbow_curves({line.domain: ((2, 4, 8), (9.0, 3.0, 1.0), 4)}),
        "text_map_arrows": lambda: figures.text_map_arrows(
            unit(3, 4), unit(3, 4), unit(3, 4), words[:3], pair
        ),
        "prototype_map": lambda: figures.prototype_map(
            unit(5, 6), unit(4, 6), unit(4, 6), torch.tensor([[0, 1]]), pair
        ),
        "rejection_distances": lambda: figures.rejection_distances(
            torch.rand(9), torch.tensor([1.0, -torch.inf, 0.5]).repeat(3), torch.arange(9) % 2 == 0
        ),
        "class_changes": lambda: figures.class_changes(
            torch.rand(30), torch.rand(30), group, names, names=pair, measure=f"{mark}measure"
        ),
    }


@pytest.mark.parametrize("name", sorted(set(figures.__all__) - {"to_uint8"}))
def test_every_figure_is_plain_small_and_finite(name, domain, unit):
    figure = all_figures(domain, unit)[name]()
    assert isinstance(figure, go.Figure) and not isinstance(figure, go.FigureWidget)
    assert {trace.type for trace in figure.data} <= SVG
    assert figure.layout.template == TEMPLATE
    text = figure.to_json()
    assert len(text) < 300_000
    assert not any(isinstance(v, float) and not math.isfinite(v) for v in _numbers(json.loads(text)))


@pytest.mark.parametrize("name", sorted(set(figures.__all__) - {"to_uint8", *NAMELESS}))
def test_names_stay_text_in_every_figure(name, domain, unit):
    """Whatever Plotly would read in them; ``legendgroup`` is not shown."""
    mark = "<b>%{x}$x$&lt;\n\x1b"
    drawn = json.loads(all_figures(domain, unit, mark)[name]().to_json())
    shown = [text for text in _texts([drawn["data"], drawn["layout"]]) if "b&gt;" in text or "<b>" in text]
    assert shown
    for text in shown:
        own = re.sub("<br>|</?sup>|<extra>|</extra>", "", text)
        assert not re.search(r"[<$\n\x1b]|%\{x\}", own), text
        assert printable(mark) in html.unescape(own), text


def test_names_that_are_numbers_are_no_axis_of_numbers():
    group = torch.arange(4) % 2
    changes = figures.class_changes(torch.rand(4), torch.rand(4), group, ("1", "2020-01-01"))
    assert changes.layout.yaxis.type == "category"
    assert figures.ablation_bars({"1": {"mAP": 50.0}, "10": {"mAP": 40.0}}).layout.yaxis.type == "category"


def _texts(node):
    """Every text of a figure's JSON, but for images, groups of the legend, and the names of fields."""
    if isinstance(node, dict):
        node = [v for key, v in node.items() if key not in ("legendgroup", "source", "template")]
    if isinstance(node, list):
        return [text for item in node for text in _texts(item)]
    return [node] if isinstance(node, str) else []


def _numbers(node):
    if isinstance(node, dict) and "bdata" in node:  # plotly's packed arrays
        return np.frombuffer(base64.b64decode(node["bdata"]), node["dtype"]).tolist()
    if isinstance(node, dict):
        node = list(node.values())
    if isinstance(node, list):
        return [v for item in node for v in _numbers(item)]
    return [node]


def test_colours_are_distinct():
    assert len(set(class_colours(125))) == 125
    assert len(set(domain_colours(["rendered", "shaded", "flat", "line", "solid"]).values())) == 5


def test_domain_colours_stand_out_on_paper():
    """WCAG 2.2, 1.4.3: a contrast of at least 4.5 to white."""
    for colour in PALETTE:
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        r, g, b = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
        assert 1.05 / (0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05) >= 4.5, colour
