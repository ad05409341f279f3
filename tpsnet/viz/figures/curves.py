"""Training curves."""

from collections.abc import Mapping, Sequence

from tpsnet.errors import InputError
from tpsnet.escape import escape_plotly
from tpsnet.viz.figures.figure import Figure, subplots
from tpsnet.viz.theme import INK, PALETTE

DASHES = ("solid", "dot", "dash", "dashdot")


def training_curves(history: Sequence[Mapping[str, object]]) -> Figure:
    """Every loss of the log over its stage's epochs, the first one thick; below them the log's shares.

    Args:
        history: The log of a training, one row per epoch: ``{"stage", "epoch", "losses", "shares", …}``, the
            last two by name. A share is in [0, 1].

    Raises:
        InputError: The history is empty.
    """
    if not history:
        raise InputError("nothing to draw: the training history is empty; train for at least one epoch")
    stages = list(dict.fromkeys(str(row["stage"]) for row in history))
    figure = subplots(
        2,
        len(stages),
        subplot_titles=[escape_plotly(stage) for stage in stages],
        row_heights=[0.68, 0.32],
        shared_xaxes=True,
        horizontal_spacing=0.08,
        vertical_spacing=0.06,
    )
    for panel, kind in enumerate(("losses", "shares"), start=1):
        for i, name in enumerate(dict.fromkeys(name for row in history for name in row[kind])):
            drawn = [row for row in history if name in row[kind]]
            for stage in dict.fromkeys(row["stage"] for row in drawn):
                points = [(row["epoch"] + 1, row[kind][name]) for row in drawn if row["stage"] == stage]
                figure.add_scatter(
                    x=[epoch for epoch, _ in points],
                    y=[round(value, 5) for _, value in points],
                    name=escape_plotly(name),
                    legendgroup=name,
                    showlegend=stage == drawn[0]["stage"],
                    mode="lines+markers",
                    line=_line(kind, i),
                    marker={"size": 5},
                    row=panel,
                    col=stages.index(stage) + 1,
                )
    figure.update_layout(width=355 * len(stages) + 90, height=460, margin={"t": 90})
    figure.update_layout(legend={"y": 1.09})
    figure.update_xaxes(title="epoch", row=2)
    figure.update_yaxes(title="loss", row=1, col=1)
    figure.update_yaxes(title="share", tickformat=".0%", rangemode="tozero", row=2)
    return figure


def _line(kind: str, i: int) -> dict:
    """Losses differ by their colours, shares by their dashes."""
    if kind == "shares":
        return {"color": INK, "width": 1.5, "dash": DASHES[i % len(DASHES)]}
    return {"color": PALETTE[i % len(PALETTE)], "width": 1.5 if i else 3}
