"""Where one system ranks better than another, class by class."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tpsnet.escape import escape_plotly
from tpsnet.viz.figures.figure import Figure
from tpsnet.viz.theme import AFTER, BEFORE, FAINT


def class_changes(
    before: Float[Tensor, " queries"],
    after: Float[Tensor, " queries"],
    labels: Int[Tensor, " queries"],
    class_names: Sequence[str],
    *,
    names: tuple[str, str] = ("frozen CLIP", "TPSNet"),
    measure: str = "average precision",
    shown: int = 10,
) -> Figure:
    """The classes that gained and lost most: two points per class, joined.

    Args:
        before: The measure of each query under the first system, in percent.
        after: The same under the second system.
        labels: Class of each query.
        class_names: The class table.
        names: Names of the two systems.
        measure: What the numbers are.
        shown: Number of classes drawn at either end.
    """
    present = labels.unique()
    means = torch.stack(
        [torch.stack([v[labels == c].mean() for c in present]) for v in (before, after)]
    )  # (2, classes)
    order = (means[1] - means[0]).argsort(stable=True)
    picked = order if len(order) <= 2 * shown else torch.cat([order[:shown], order[-shown:]])
    x0, x1 = (means[i, picked].tolist() for i in (0, 1))
    y = [escape_plotly(class_names[c]) for c in present[picked].tolist()]
    figure = Figure()
    figure.add_scatter(
        x=[v for a, b in zip(x0, x1, strict=True) for v in (a, b, None)],
        y=[v for name in y for v in (name, name, None)],
        mode="lines",
        line={"color": FAINT, "width": 3},
        hoverinfo="skip",
        showlegend=False,
    )
    for values, name, colour, symbol in (
        (x0, names[0], BEFORE, "circle-open"),
        (x1, names[1], AFTER, "circle"),
    ):
        marker = {"color": colour, "size": 9, "symbol": symbol}
        figure.add_scatter(
            x=[round(v, 2) for v in values],
            y=y,
            mode="markers",
            name=escape_plotly(name),
            marker=marker,
            hovertemplate="%{y}: %{x:.1f}<extra>%{fullData.name}</extra>",
        )
    figure.update_layout(width=720, height=120 + 22 * len(y), margin={"l": 150})
    figure.update_xaxes(
        title=f"{escape_plotly(measure)}, percent, mean over the class's queries", range=[-2, 102]
    )
    figure.update_yaxes(type="category", categoryorder="array", categoryarray=y, tickmode="linear")
    return figure
