"""Images inside plotly figures."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from tpsnet.errors import InputError
from tpsnet.escape import escape_plotly
from tpsnet.viz.figures.figure import Figure
from tpsnet.viz.thumbnails import Source, data_uri

PITCH = 1.08  # distance of two images in a grid whose images have side 1


def to_uint8(images: Tensor) -> Tensor:
    """Images ``(n, 1 or 3, h, w)`` as uint8 RGB ``(n, 3, h, w)``.

    RGB in [0, 1] is scaled as it is. A single channel, such as a phase image, has no fixed range: it is
    stretched image by image, from its 1st to its 99th percentile.
    """
    if images.shape[1] == 3:
        return (images.detach().cpu().float().clamp(0, 1) * 255).round().byte()
    flat = images.detach().cpu().float().flatten(1)
    low, high = flat.quantile(0.01, dim=1), flat.quantile(0.99, dim=1)
    scale = (high - low).clamp_min(1e-12)[:, None]
    stretched = ((flat - low[:, None]) / scale).clamp(0, 1).view_as(images)
    return (stretched * 255).round().byte().expand(-1, 3, -1, -1)


def place(source: Source | str, x: float, y: float, side: float, pixels: int = 0, axes: str = "") -> dict:
    """An entry of ``layout.images``, centred on ``(x, y)``.

    Args:
        source: The image, or its data URI.
        x: Horizontal place, in units of the axis.
        y: Vertical place, in units of the axis.
        side: Side of the image, in units of the axes.
        pixels: Side of the thumbnail; a data URI has its own.
        axes: Suffix of a subplot's axes, e.g. ``"2"``.
    """
    return {
        "source": source if isinstance(source, str) else data_uri(source, pixels),
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


def image_grid(
    rows: Mapping[str, Tensor], columns: Sequence[str] = (), *, title: str = "", pixels: int = 64
) -> Figure:
    """Rows of images under one another, each row with its name.

    Args:
        rows: Name of each row to its images: ``(n, 3, h, w)`` uint8 or in [0, 1], or ``(n, 1, h, w)`` of any
            range.
        columns: A heading for each column, or none.
        title: Title of the figure.
        pixels: Side of an image.

    Raises:
        InputError: The rows differ in length, or the headings do not match them.
    """
    lengths = {len(images) for images in rows.values()}
    if len(lengths) != 1 or 0 in lengths or (columns and len(columns) not in lengths):
        raise InputError(
            f"an image grid needs rows of one length and as many headings, not {sorted(lengths)} "
            f"images and {len(columns)} headings"
        )
    (n,) = lengths
    placed = []
    for r, row in enumerate(rows.values()):
        shown = to_uint8(row) if row.is_floating_point() else row.cpu()
        placed += [place(image, c * PITCH, -r * PITCH, 1.0, pixels) for c, image in enumerate(shown)]
    left, top = 20 + 7 * max(len(name) for name in rows), 25 + 40 * bool(title)
    width, height = left + 10 + n * pixels * PITCH, top + 15 + 5 * bool(title) + len(rows) * pixels * PITCH
    figure = Figure(layout={"images": placed, "title": escape_plotly(title)})
    figure.update_layout(width=round(width), height=round(height), hovermode=False)
    figure.update_layout(margin={"l": left, "r": 10, "t": top, "b": 5})
    grid_axes(figure, n, len(rows), list(columns), list(rows))
    return figure


def grid_axes(figure: Figure, n: int, m: int, columns: list[str], rows: list[str]) -> None:
    """Axes of ``n`` columns and ``m`` rows of images at the distance ``PITCH``, names on top and left."""
    axes = {"showgrid": False, "automargin": False}
    ticks = {
        "tickvals": [c * PITCH for c in range(len(columns))],
        "ticktext": [escape_plotly(name) for name in columns],
    }
    figure.update_xaxes(range=[-0.54, (n - 1) * PITCH + 0.54], side="top", **ticks, **axes)
    ticks = {
        "tickvals": [-r * PITCH for r in range(len(rows))],
        "ticktext": [escape_plotly(name) for name in rows],
    }
    figure.update_yaxes(range=[-(m - 1) * PITCH - 0.54, 0.54], **ticks, **axes)
