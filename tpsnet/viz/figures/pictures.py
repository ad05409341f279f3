"""Pictures inside plotly figures."""

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go
from torch import Tensor

from tpsnet.types import InputError
from tpsnet.viz.house import TEMPLATE
from tpsnet.viz.thumbnails import Picture, data_uri

PITCH = 1.08  # distance of two pictures in a grid whose pictures have side 1


def to_uint8(images: Tensor) -> Tensor:
    """Images ``(n, 1 or 3, h, w)`` as uint8 RGB ``(n, 3, h, w)``.

    RGB in [0, 1] is scaled as it is. A single channel, such as a phase image, has no fixed range: it is
    stretched picture by picture, from its 1st to its 99th percentile.
    """
    if images.shape[1] == 3:
        return (images.detach().cpu().float().clamp(0, 1) * 255).round().byte()
    flat = images.detach().cpu().float().flatten(1)
    low, high = flat.quantile(0.01, dim=1), flat.quantile(0.99, dim=1)
    scale = (high - low).clamp_min(1e-12)[:, None]
    stretched = ((flat - low[:, None]) / scale).clamp(0, 1).view_as(images)
    return (stretched * 255).round().byte().expand(-1, 3, -1, -1)


def place(picture: Picture | str, x: float, y: float, side: float, pixels: int, axes: str = "") -> dict:
    """A ``layout.images`` entry centred on ``(x, y)``; ``axes`` is the suffix of a subplot's axes."""
    source = picture if isinstance(picture, str) else data_uri(picture, pixels)
    return {
        "source": source,
        "x": round(x, 4),
        "y": round(y, 4),
        "sizex": round(side, 4),
        "sizey": round(side, 4),
        "xref": f"x{axes}",
        "yref": f"y{axes}",
        "xanchor": "center",
        "yanchor": "middle",
        "layer": "above",
    }


def picture_grid(
    rows: Mapping[str, Tensor], columns: Sequence[str] = (), *, title: str = "", pixels: int = 64
) -> go.Figure:
    """Rows of pictures under one another, each row with its name.

    Args:
        rows: name to images, ``(n, 3, h, w)`` uint8 or in [0, 1], or ``(n, 1, h, w)`` of any range.
        columns: a heading for each column, or none.
        title: of the figure.
        pixels: side of a picture.

    Raises:
        InputError: rows of different lengths, or headings that do not match them.
    """
    lengths = {len(images) for images in rows.values()}
    if len(lengths) != 1 or 0 in lengths or (columns and len(columns) not in lengths):
        raise InputError(
            f"a picture grid needs rows of one length and as many headings, not {sorted(lengths)} "
            f"pictures and {len(columns)} headings"
        )
    (n,) = lengths
    images = []
    for r, row in enumerate(rows.values()):
        pictures = row if not row.is_floating_point() else to_uint8(row)
        images += [place(p.cpu(), c * PITCH, -r * PITCH, 1.0, pixels) for c, p in enumerate(pictures)]
    names = 20 + 7 * max(len(name) for name in rows)  # room for the longest
    width, height = names + 10 + n * pixels * PITCH, 40 + 45 * bool(title) + len(rows) * pixels * PITCH
    figure = go.Figure(layout={"template": TEMPLATE, "images": images, "title": title})
    figure.update_layout(width=round(width), height=round(height), hovermode=False)
    figure.update_layout(margin={"l": names, "r": 10, "t": 25 + 40 * bool(title), "b": 5})
    figure.update_xaxes(
        range=[-0.54, (n - 1) * PITCH + 0.54],
        side="top",
        tickvals=[c * PITCH for c in range(len(columns))],
        ticktext=list(columns),
        showgrid=False,
        automargin=False,
    )
    figure.update_yaxes(
        range=[-(len(rows) - 1) * PITCH - 0.54, 0.54],
        tickvals=[-r * PITCH for r in range(len(rows))],
        ticktext=list(rows),
        showgrid=False,
        automargin=False,
    )
    return figure
