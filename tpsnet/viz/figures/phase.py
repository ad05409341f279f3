"""The phase prior in pictures: what stays and what goes when two drawings swap their amplitudes."""

from collections.abc import Callable, Mapping

import plotly.graph_objects as go
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from tpsnet.types import InputError
from tpsnet.viz.figures.pictures import PITCH, place, to_uint8
from tpsnet.viz.house import AFTER, BEFORE, TEMPLATE
from tpsnet.viz.thumbnails import data_uri

Swap = Callable[[Tensor, Tensor, float], Tensor]


def amplitude_slider(
    first: Float[Tensor, "n 3 size size"],
    second: Float[Tensor, "n 3 size size"],
    swap: Swap,
    names: tuple[str, str],
    *,
    steps: int = 11,
    pixels: int = 96,
) -> go.Figure:
    """Pairs of pictures; a slider gives each one more and more of the other's amplitude.

    The mixed pictures are computed now and travel inside the figure: the slider works without a kernel.

    Args:
        first: one picture a row, RGB in [0, 1].
        second: its partner.
        swap: ``swap(content, style, share)`` gives the content's phase under the mixed amplitude.
        names: of the two domains.
        steps: positions of the slider, at least 2.
        pixels: side of a picture.
    """
    if steps < 2:
        raise InputError(f"a slider needs at least 2 steps, not {steps}")
    shares = torch.linspace(0, 1, steps).tolist()
    fixed = (to_uint8(first), to_uint8(second))
    images = [
        place(p, 3 * PITCH * side, -r * PITCH, 1.0, pixels)
        for side in (0, 1)
        for r, p in enumerate(fixed[side])
    ]
    sources = [  # one list a step: first with second's amplitude, then second with first's
        [
            data_uri(p, pixels)
            for p in torch.cat([to_uint8(swap(first, second, s)), to_uint8(swap(second, first, s))])
        ]
        for s in shares
    ]
    n = len(first)
    images += [
        place(source, PITCH * (1 + i // n), -(i % n) * PITCH, 1.0, pixels)
        for i, source in enumerate(sources[steps // 2])
    ]
    slides = [
        {
            "label": f"{share:.0%}",
            "method": "relayout",
            "args": [{f"images[{2 * n + i}].source": source for i, source in enumerate(step)}],
        }
        for share, step in zip(shares, sources, strict=True)
    ]
    headings = [names[0], f"phase of {names[0]}", f"phase of {names[1]}", names[1]]
    figure = go.Figure(layout={"template": TEMPLATE, "images": images, "hovermode": False})
    slider = {
        "steps": slides,
        "currentvalue": {"prefix": "amplitude of the other picture: "},
        "active": steps // 2,
        "pad": {"t": 10},
    }
    figure.update_layout(
        sliders=[slider],
        width=round(60 + 4.2 * PITCH * pixels * 1.2),
        height=round(150 + n * PITCH * pixels * 1.2),
        margin={"l": 20, "r": 20, "t": 40, "b": 100},
    )
    figure.update_xaxes(
        range=[-0.54, 3 * PITCH + 0.54],
        side="top",
        showgrid=False,
        tickvals=[c * PITCH for c in range(4)],
        ticktext=headings,
    )
    figure.update_yaxes(range=[-(n - 1) * PITCH - 0.54, 0.54], visible=False)
    return figure


def edges(images: Float[Tensor, "n 3 height width"]) -> Float[Tensor, "n height width"]:
    """Strength of the grey image's gradient, by Sobel's masks."""
    sobel = images.new_tensor([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    grey = F.pad(images.mean(dim=1, keepdim=True), (1, 1, 1, 1), mode="replicate")
    masks = torch.stack([sobel, sobel.T])[:, None]
    return F.conv2d(grey, masks).norm(dim=1)


def edge_correlation(
    a: Float[Tensor, "n 3 height width"], b: Float[Tensor, "n 3 height width"]
) -> Float[Tensor, " n"]:
    """Pearson correlation of the two pictures' edge strengths, row by row; 0 where one has no edge."""
    x, y = (edges(images).flatten(1) for images in (a, b))
    x, y = x - x.mean(dim=1, keepdim=True), y - y.mean(dim=1, keepdim=True)
    norms = x.norm(dim=1) * y.norm(dim=1)
    return torch.where(norms > 1e-9, (x * y).sum(dim=1) / norms.clamp_min(1e-9), 0)


def similarity_boxes(groups: Mapping[str, Float[Tensor, " n"]], *, axis: str) -> go.Figure:
    """One box a group of similarities, its median written beside the name.

    Args:
        groups: name to the similarities of its pictures.
        axis: what is measured, e.g. ``"correlation of edges"``.
    """
    figure = go.Figure(layout={"template": TEMPLATE, "showlegend": False})
    for i, (name, values) in enumerate(groups.items()):
        label = f"{name}<br>median {values.median():.2f}"
        colour = (AFTER, BEFORE)[i % 2]
        figure.add_box(x=values.numpy(), name=label, boxpoints=False, line={"color": colour, "width": 1.5})
    figure.update_layout(width=760, height=90 + 75 * len(groups), margin={"l": 250, "t": 20})
    lowest = min(float(values.min()) for values in groups.values())
    figure.update_xaxes(title=axis, range=[min(-0.3, lowest) - 0.02, 1.02])
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return figure
