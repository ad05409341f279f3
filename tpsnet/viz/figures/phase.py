"""The phase prior made visible: what stays and what goes when two images swap their amplitudes."""

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from tpsnet.errors import InputError
from tpsnet.escape import escape_plotly
from tpsnet.viz.figures.figure import Figure
from tpsnet.viz.figures.images import PITCH, grid_axes, place, to_uint8
from tpsnet.viz.theme import AFTER, BEFORE
from tpsnet.viz.thumbnails import data_uri

Swap = Callable[[Tensor, Tensor, float], Tensor]


def amplitude_slider(
    first: Float[Tensor, "n 3 height width"],
    second: Float[Tensor, "n 3 height width"],
    swap: Swap,
    names: tuple[str, str],
    *,
    steps: int = 11,
    pixels: int = 96,
) -> Figure:
    """Pairs of images; a slider gives each one more and more of the other's amplitude.

    The mixed images are computed at once and travel inside the figure: the slider works without a kernel.

    Args:
        first: One image per row, RGB in [0, 1].
        second: The partner of each image, RGB in [0, 1].
        swap: ``swap(content, style, share)`` gives the content's phase under the mixed amplitude.
        names: Names of the two domains.
        steps: Number of positions of the slider; at least 2.
        pixels: Side of an image.

    Raises:
        InputError: The slider has fewer than 2 steps.
    """
    if steps < 2:
        raise InputError(f"a slider needs at least 2 steps, not {steps}")
    n, shares = len(first), torch.linspace(0, 1, steps).tolist()
    fixed = _sources(first, second, pixels)
    mixed = [_sources(swap(first, second, s), swap(second, first, s), pixels) for s in shares]
    spots = [(c * PITCH, -r * PITCH) for c in (0, 3, 1, 2) for r in range(n)]
    start = [*fixed, *mixed[steps // 2]]
    images = [place(source, *spot, 1.0) for source, spot in zip(start, spots, strict=True)]
    slides = [
        {
            "label": f"{share:.0%}",
            "method": "relayout",
            "args": [{f"images[{2 * n + i}].source": source for i, source in enumerate(step)}],
        }
        for share, step in zip(shares, mixed, strict=True)
    ]
    slider = {"steps": slides, "active": steps // 2, "pad": {"t": 10}}
    slider["currentvalue"] = {"prefix": "amplitude of the other image: "}
    figure = Figure(layout={"images": images, "hovermode": False})
    figure.update_layout(sliders=[slider], margin={"l": 20, "r": 20, "t": 40, "b": 100})
    figure.update_layout(
        width=round(60 + 4.2 * PITCH * pixels * 1.2), height=round(150 + n * PITCH * pixels * 1.2)
    )
    grid_axes(figure, 4, n, [names[0], f"phase of {names[0]}", f"phase of {names[1]}", names[1]], [])
    figure.update_yaxes(visible=False)
    return figure


def similarity_boxes(groups: Mapping[str, Float[Tensor, " n"]], *, axis: str) -> Figure:
    """One box per group of similarities, its median written beside the name.

    Args:
        groups: Name of each group to the similarities of its images.
        axis: What is measured, e.g. ``"correlation of edges"``.
    """
    figure = Figure(layout={"showlegend": False})
    for i, (name, values) in enumerate(groups.items()):
        label = f"{escape_plotly(name)}<br>median {values.median():.2f}"
        colour = (AFTER, BEFORE)[i % 2]
        figure.add_box(x=values.numpy(), name=label, boxpoints=False, line={"color": colour, "width": 1.5})
    figure.update_layout(width=760, height=90 + 75 * len(groups), margin={"l": 250, "t": 20})
    lowest = min(float(values.min()) for values in groups.values())
    figure.update_xaxes(title=escape_plotly(axis), range=[min(-0.3, lowest) - 0.02, 1.02])
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return figure


def _sources(left: Tensor, right: Tensor, pixels: int) -> list[str]:
    """The images of both columns as data URIs."""
    return [data_uri(image, pixels) for image in torch.cat([to_uint8(left), to_uint8(right)])]
