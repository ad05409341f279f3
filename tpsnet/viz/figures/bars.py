"""Scores as bars: before and after, method beside method, variant under variant."""

import textwrap
from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from tpsnet.escape import escape_plotly, printable
from tpsnet.evaluation import ProtocolCard, Scores
from tpsnet.viz.figures.figure import Figure, subplots
from tpsnet.viz.theme import AFTER, BEFORE, FAINT, GREYS, PALETTE


def precision_bars(scores: Mapping[str, Mapping[str, Scores]], card: ProtocolCard, title: str = "") -> Figure:
    """P@k and mAP of every system, one panel per direction, the protocol card below.

    Args:
        scores: Direction, e.g. ``"line → rendered"``, to the scores of each system; the last system is drawn
            strong, the baselines before it in grey.
        card: Protocol under which they were measured, of the first direction.
        title: Title of the figure.
    """
    directions = [escape_plotly(direction) for direction in scores]
    figure = subplots(
        1, len(directions), subplot_titles=directions, shared_yaxes=True, horizontal_spacing=0.04
    )
    for column, systems in enumerate(scores.values(), start=1):
        for i, (system, result) in enumerate(systems.items()):
            colour = AFTER if i == len(systems) - 1 else (FAINT, BEFORE)[min(i, 1)]
            metrics = {k: v for k, v in result.metrics().items() if k == "mAP" or k.startswith("P@")}
            figure.add_trace(_bars(system, metrics, colour, showlegend=column == 1), row=1, col=column)
    lines = [x for rule in card.lines() for x in textwrap.wrap(printable(rule), 62 * len(directions))]
    note = {"text": "<br>".join(map(escape_plotly, lines)), "showarrow": False, "align": "left"}
    note["font"] = {"size": 11}
    note |= {"x": 0, "xref": "paper", "y": -0.13, "yref": "paper", "xanchor": "left", "yanchor": "top"}
    figure.add_annotation(note)
    figure.update_layout(title=escape_plotly(title), barmode="group", bargap=0.2)
    figure.update_layout(width=365 * len(directions) + 70, height=400 + 16 * len(lines))
    figure.update_layout(margin={"t": 90, "b": 50 + 16 * len(lines)}, legend={"y": 1.1})
    highest = max(max(trace.y) for trace in figure.data)
    figure.update_yaxes(range=[0, min(105, 1.15 * highest + 1)])
    figure.update_yaxes(title="percent", col=1)
    return figure


def comparison_bars(scores: Mapping[str, Mapping[str, Scores]], baselines: Sequence[str] = ()) -> Figure:
    """The mAP of every method, a group of bars for each protocol, the baselines in grey.

    Args:
        scores: Protocol to the scores of each method; a method may lack protocols.
        baselines: Names of the methods that are baselines.
    """
    methods = list(dict.fromkeys(name for by in scores.values() for name in by))
    grey = [name for name in methods if name in baselines]
    trained = [name for name in methods if name not in baselines]
    colours = {name: GREYS[i % len(GREYS)] for i, name in enumerate(grey)}
    colours |= {name: PALETTE[i % len(PALETTE)] for i, name in enumerate(trained)}
    figure = Figure()
    for name in methods:
        values = {protocol: by[name].metrics()["mAP"] for protocol, by in scores.items() if name in by}
        figure.add_trace(_bars(name, values, colours[name]))
    figure.update_layout(barmode="group", bargap=0.2, width=900, height=400)
    figure.update_layout(legend={"y": 1.12})
    protocols = [escape_plotly(protocol) for protocol in scores]
    figure.update_xaxes(type="category", categoryorder="array", categoryarray=protocols)
    figure.update_yaxes(title="mAP, percent")
    return figure


def ablation_bars(scores: Mapping[str, Mapping[str, float | None]]) -> Figure:
    """Some numbers of several variants beside one another, the first variant in blue.

    Args:
        scores: Variant to its numbers in percent by metric name, the same metrics in each; a number may be
            missing (``None``).
    """
    metrics, names = list(next(iter(scores.values()))), list(scores)
    titles = [
        escape_plotly(metric).replace(", ", "<br>") for metric in metrics
    ]  # a panel is narrower than its name
    figure = subplots(1, len(metrics), subplot_titles=titles, shared_yaxes=True)
    for column, metric in enumerate(metrics, start=1):
        values = [scores[name][metric] for name in names]
        figure.add_bar(
            x=values,
            y=[escape_plotly(name) for name in names],
            orientation="h",
            marker={"color": [AFTER, *[BEFORE] * (len(names) - 1)]},
            text=["" if v is None else f"{v:.1f}" for v in values],
            textposition="auto",
            showlegend=False,
            row=1,
            col=column,
        )
    figure.update_layout(width=900, height=120 + 34 * len(names))
    figure.update_layout(margin_t=90)
    figure.update_xaxes(range=[0, 100])
    figure.update_yaxes(autorange="reversed", type="category")
    return figure


def _bars(name: str, values: Mapping[str, float], colour: str, showlegend: bool = True) -> go.Bar:
    """The bars of one method, each with its number above it."""
    return go.Bar(
        x=[escape_plotly(place) for place in values],
        y=[round(v, 2) for v in values.values()],
        text=[f"{v:.1f}" for v in values.values()],
        textposition="outside",
        textfont={"size": 11},
        cliponaxis=False,
        name=escape_plotly(name),
        legendgroup=name,
        showlegend=showlegend,
        marker={"color": colour},
    )
