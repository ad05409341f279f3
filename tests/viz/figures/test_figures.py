"""What every figure must be: a plain figure of SVG traces, small, without NaN, in the look."""

import base64
import json
import math

import numpy as np
import plotly.graph_objects as go
import pytest
import torch

from tpsnet.evaluation import evaluate
from tpsnet.evaluation.protocol import protocol_card
from tpsnet.viz import figures
from tpsnet.viz.theme import TEMPLATE, class_colours, domain_colours

SVG = {"scatter", "bar", "box", "heatmap"}


def history():
    first = [{"stage": "prompts", "epoch": e, "losses": {"loss": 3.0 - e}, "shares": {}} for e in (0, 1)]
    second = {"losses": {"loss": 1.5, "pce": 1.0}, "shares": {"relabelled": 0.2}}
    return [*first, {"stage": "network", "epoch": 0, "seconds": 4.0} | second]


def large_map(domain):
    domains = [domain("line", 60), domain("flat", 60)]
    big = [
        type(d)(d.domain, d.vectors.repeat(20, 1), d.labels.repeat(20), d.class_names, d.paths * 20)
        for d in domains
    ]
    points = torch.rand(2400, 2)
    return figures.embedding_maps({"frozen": points, "TPSNet": points.flip(1)}, big)


def all_figures(domain, unit):
    line, flat = domain("line"), domain("flat")
    images = torch.rand(3, 3, 32, 32)
    words = [f"word {i}" for i in range(9)]
    shown = [(images * 255).byte()] * 4
    scores = evaluate(line, flat)
    card = protocol_card(scores, label_spaces="closed")
    group = torch.arange(30) % 4
    return {
        "training_curves": lambda: figures.training_curves(history()),
        "precision_bars": lambda: figures.precision_bars({"line → flat": {"frozen": scores}}, card),
        "comparison_bars": lambda: figures.comparison_bars({"closed": {"UEM": scores}}, baselines=()),
        "embedding_maps": lambda: large_map(domain),
        "amplitude_slider": lambda: figures.amplitude_slider(
            images, images.flip(0), lambda a, b, share: a, ("line", "flat")
        ),
        "similarity_boxes": lambda: figures.similarity_boxes({"a": torch.rand(20)}, axis="cosine"),
        "image_grid": lambda: figures.image_grid({"rgb": images, "phase": torch.randn(3, 1, 32, 32)}),
        "nearest_words": lambda: figures.nearest_words(unit(4, 6), unit(9, 6), words, shown),
        "prompt_similarity": lambda: figures.prompt_similarity(unit(100, 6), unit(100, 6)),
        "repairing_by_confidence": lambda: figures.repairing_by_confidence(
            group, torch.arange(30) % 3, group, torch.rand(30)
        ),
        "ablation_bars": lambda: figures.ablation_bars({"UEM": {"mAP": 50.0}, "no SEL": {"mAP": 40.0}}),
        "elbow_curves": lambda: figures.elbow_curves({"line": ((2, 4, 8), (9.0, 3.0, 1.0), 4)}),
        "text_map_arrows": lambda: figures.text_map_arrows(
            unit(3, 4), unit(3, 4), unit(3, 4), ("ant", "bee", "cat"), ("line", "flat")
        ),
        "prototype_map": lambda: figures.prototype_map(
            unit(5, 6), unit(4, 6), unit(4, 6), torch.tensor([[0, 1]]), ("line", "flat")
        ),
        "rejection_distances": lambda: figures.rejection_distances(
            torch.rand(9), torch.tensor([1.0, -torch.inf, 0.5]).repeat(3), torch.arange(9) % 2 == 0
        ),
        "class_changes": lambda: figures.class_changes(
            torch.rand(30), torch.rand(30), group, line.class_names
        ),
    }


@pytest.mark.parametrize("name", sorted(set(figures.__all__) - {"to_uint8"}))
def test_every_figure_is_plain_small_and_finite(name, domain, unit):
    figure = all_figures(domain, unit)[name]()
    assert type(figure) is go.Figure
    assert {trace.type for trace in figure.data} <= SVG
    assert figure.layout.template == TEMPLATE
    text = figure.to_json()
    assert len(text) < 300_000
    assert not any(isinstance(v, float) and not math.isfinite(v) for v in _numbers(json.loads(text)))


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
