"""The look, shared by figures, sheets and widgets: colours that colour-blind readers tell apart."""

import colorsys
from collections.abc import Sequence

import plotly.graph_objects as go

INK = "#222222"
FAINT = "#d9d9d9"
RIGHT = "#00795c"
WRONG = "#c94a00"
BEFORE = "#8c8c8c"
AFTER = "#0072b2"
GREYS = (FAINT, "#b3b3b3", BEFORE)  # of baselines side by side
# The hues of Okabe and Ito (2008), "Color Universal Design", dark enough for 4.5:1 on white paper.
PALETTE = ("#0072b2", "#b35900", "#00795c", "#a23b72", "#5b5ea6", "#6b6b00", "#5f5f5f")

AXIS = {
    "gridcolor": "#eeeeee",
    "linecolor": FAINT,
    "zeroline": False,
    "automargin": True,
    "title": {"font": {"size": 13}, "standoff": 8},
}
TEMPLATE = go.layout.Template(
    layout={
        "font": {"family": "Helvetica Neue, Arial, sans-serif", "size": 13, "color": INK},
        "title": {"x": 0.01, "xanchor": "left", "font": {"size": 15}},
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "colorway": PALETTE,
        "annotationdefaults": {"font": {"size": 14}},
        "hoverlabel": {"bgcolor": "white", "font": {"color": INK}, "namelength": -1},  # no name is cut
        "margin": {"l": 60, "r": 20, "t": 60, "b": 50},
        "xaxis": AXIS,
        "yaxis": AXIS,
        "legend": {"orientation": "h", "yanchor": "bottom", "y": 1.0, "xanchor": "right", "x": 1.0},
    }
)


def domain_colours(names: Sequence[str]) -> dict[str, str]:
    """One colour per domain, in the order given."""
    return {name: PALETTE[i % len(PALETTE)] for i, name in enumerate(names)}


def class_colours(n: int) -> list[str]:
    """``n`` hues in three shades. Many classes cannot all be told apart: figures name them on hover too."""
    shades = ((0.45, 0.75), (0.62, 0.65), (0.32, 0.7))  # lightness, saturation
    colours = []
    for i in range(n):
        r, g, b = colorsys.hls_to_rgb(i / max(n, 1), *shades[i % len(shades)])
        colours.append(f"#{round(r * 255):02x}{round(g * 255):02x}{round(b * 255):02x}")
    return colours
