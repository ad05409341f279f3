"""Training curves and the scores before and after, with the protocol they were measured under."""

import textwrap
from collections.abc import Mapping, Sequence
from numbers import Real

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from tpsnet.evaluation import Scores
from tpsnet.types import InputError
from tpsnet.viz.house import AFTER, BEFORE, FAINT, INK, PALETTE, TEMPLATE

AXES = ("stage", "epoch", "seconds")
# Notes of a refresh, in [0, 1], and how their lines are drawn; everything else of the log is a loss.
SHARES = {
    "repaired": "solid",
    "relabelled": "solid",
    "merged": "solid",
    "alpha": "dot",
    "kept": "solid",
    "corrected": "dot",
    "doubted": "dash",
}


def training_curves(history: Sequence[Mapping[str, object]]) -> go.Figure:
    """Every loss of the log over its stage's epochs, and below it the shares that the log notes.

    Args:
        history: what ``engine.fit`` returns, one entry an epoch.

    Raises:
        InputError: an empty history.
    """
    if not history:
        raise InputError("nothing to draw: the training history is empty; train for at least one epoch")
    stages = list(dict.fromkeys(str(entry["stage"]) for entry in history))
    figure = make_subplots(
        rows=2,
        cols=len(stages),
        subplot_titles=stages,
        row_heights=[0.68, 0.32],
        shared_xaxes=True,
        horizontal_spacing=0.08,
        vertical_spacing=0.06,
    )
    colours: dict[str, str] = {}
    for column, stage in enumerate(stages, start=1):
        entries = [entry for entry in history if entry["stage"] == stage]
        numbers = (k for e in entries for k, v in e.items() if isinstance(v, Real))
        names = dict.fromkeys(k for k in numbers if k not in AXES)
        for name in names:
            drawn = [e for e in entries if name in e]
            known = name in colours
            colour = INK if name in SHARES else PALETTE[len(set(colours) - set(SHARES)) % len(PALETTE)]
            colour = colours.setdefault(name, colour)
            figure.add_scatter(
                x=[int(e["epoch"]) + 1 for e in drawn],
                y=[round(float(e[name]), 5) for e in drawn],
                name=name,
                legendgroup=name,
                showlegend=not known,
                mode="lines+markers",
                line={"color": colour, "width": 3 if name == "loss" else 1.5, "dash": SHARES.get(name)},
                marker={"size": 5},
                row=2 if name in SHARES else 1,
                col=column,
            )
    figure.update_layout(template=TEMPLATE, width=355 * len(stages) + 90, height=460, margin={"t": 90})
    figure.update_layout(legend={"y": 1.09})
    figure.update_xaxes(title="epoch", row=2)
    figure.update_yaxes(title="loss", row=1, col=1)
    figure.update_yaxes(title="share", tickformat=".0%", rangemode="tozero", row=2)
    return figure


def precision_bars(scores: Mapping[str, Mapping[str, Scores]], *, title: str = "") -> go.Figure:
    """P@k and mAP@All of every system, one panel a direction, the protocol card below.

    Args:
        scores: direction, e.g. ``"line → rendered"``, to system to its scores; the last system is
            drawn strong, the floors before it in grey.
        title: of the figure.
    """
    directions = list(scores)
    figure = make_subplots(
        rows=1, cols=len(directions), subplot_titles=directions, shared_yaxes=True, horizontal_spacing=0.04
    )
    for column, systems in enumerate(scores.values(), start=1):
        for i, (system, result) in enumerate(systems.items()):
            greys = (FAINT, BEFORE)
            colour = AFTER if i == len(systems) - 1 else greys[min(i, 1)]
            values = [*result.precision.values(), result.mean_ap]
            figure.add_bar(
                x=[*(f"P@{k}" for k in result.precision), "mAP@All"],
                y=[round(v, 2) for v in values],
                text=[f"{v:.1f}" for v in values],
                textposition="outside",
                textfont={"size": 11},
                name=system,
                legendgroup=system,
                showlegend=column == 1,
                marker={"color": colour},
                cliponaxis=False,
                row=1,
                col=column,
            )
    card = next(iter(next(iter(scores.values())).values())).card
    rules = card.markdown().replace("**", "").splitlines()
    lines = [line for rule in rules for line in textwrap.wrap(rule, 62 * len(directions))]
    note = {"text": "<br>".join(lines), "showarrow": False, "align": "left", "font": {"size": 11}}
    note |= {"x": 0, "xref": "paper", "y": -0.13, "yref": "paper", "xanchor": "left", "yanchor": "top"}
    figure.add_annotation(note)
    figure.update_layout(template=TEMPLATE, title=title, barmode="group", bargap=0.2)
    figure.update_layout(width=365 * len(directions) + 70, height=400 + 16 * len(lines))
    figure.update_layout(margin={"t": 90, "b": 50 + 16 * len(lines)}, legend={"y": 1.1})
    highest = max(max(trace.y) for trace in figure.data)
    figure.update_yaxes(range=[0, min(105, 1.15 * highest + 1)])
    figure.update_yaxes(title="percent", col=1)
    return figure


def comparison_bars(scores: Mapping[str, Mapping[str, Scores]]) -> go.Figure:
    """mAP@All of every method, a group of bars for each setting, the frozen CLIPs in grey.

    Args:
        scores: setting to method to its scores; a method may lack settings.
    """
    methods = list(dict.fromkeys(name for by in scores.values() for name in by))
    floors = [name for name in methods if name.startswith("frozen")]
    trained = [name for name in methods if name not in floors]
    colours = {name: (FAINT, BEFORE)[i % 2] for i, name in enumerate(floors)}
    colours |= {name: PALETTE[i % len(PALETTE)] for i, name in enumerate(trained)}
    figure = go.Figure()
    for name in methods:
        values = {setting: by[name].mean_ap for setting, by in scores.items() if name in by}
        figure.add_bar(
            x=list(values),
            y=[round(v, 2) for v in values.values()],
            text=[f"{v:.1f}" for v in values.values()],
            textposition="outside",
            textfont={"size": 11},
            cliponaxis=False,
            name=name,
            marker={"color": colours[name]},
        )
    figure.update_layout(template=TEMPLATE, barmode="group", bargap=0.2, width=900, height=400)
    figure.update_layout(legend={"y": 1.12})
    figure.update_xaxes(categoryorder="array", categoryarray=list(scores))
    figure.update_yaxes(title="mAP@All, percent")
    return figure
