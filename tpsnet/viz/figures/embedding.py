"""Maps of the embedding space, before and after training, side by side."""

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go
import torch
from jaxtyping import Float
from torch import Tensor

from tpsnet.errors import InputError
from tpsnet.escape import escape_plotly
from tpsnet.types import Embeddings
from tpsnet.viz.figures.figure import Figure, subplots
from tpsnet.viz.figures.images import place
from tpsnet.viz.theme import class_colours, domain_colours
from tpsnet.viz.thumbnails import data_uri


def embedding_maps(
    maps: Mapping[str, Float[Tensor, "points 2"]],
    domains: Sequence[Embeddings],
    *,
    images: int = 60,
    pixels: int = 28,
) -> Figure:
    """One panel per map, all of the same points; buttons colour them by domain or class, or show images.

    Args:
        maps: Name of each map, e.g. ``"frozen CLIP"``, to its coordinates: the first domain's points, then
            the second's, …
        domains: The embeddings behind the points (labels, names, files).
        images: How many points, spread over the domains, the image view draws as their images.
        pixels: Side of such an image.

    Raises:
        InputError: A map has more or fewer points than the domains have images.
    """
    sizes = [len(d) for d in domains]
    for name, points in maps.items():
        if len(points) != sum(sizes):
            raise InputError(
                f"map {name!r} has {len(points)} points for {sum(sizes)} images; project them again"
            )
    colours = domain_colours([d.domain for d in domains])
    figure = subplots(
        1, len(maps), subplot_titles=[escape_plotly(name) for name in maps], horizontal_spacing=0.03
    )
    sample = torch.linspace(0, sum(sizes) - 1, min(images, sum(sizes))).round().long().tolist()
    paths = [path for d in domains for path in d.paths]
    sources = {i: data_uri(paths[i], pixels) for i in sample}
    placed = []
    for column, points in enumerate(maps.values(), start=1):
        for domain, xy in zip(domains, points.float().split(sizes), strict=True):
            trace = _points(domain, xy, colours[domain.domain], showlegend=column == 1)
            figure.add_trace(trace, row=1, col=column)
        span = float((points.amax(dim=0) - points.amin(dim=0)).max())
        axes = "" if column == 1 else str(column)
        placed += [place(sources[i], *points[i].tolist(), span / 16, axes=axes) for i in sample]
    menu = {"type": "buttons", "direction": "right", "x": 0, "xanchor": "left", "y": 1.2}
    menu["buttons"] = _buttons(domains, colours, len(maps), placed)
    figure.update_layout(updatemenus=[menu], width=395 * len(maps) + 10, height=490)
    figure.update_layout(margin={"l": 10, "r": 10, "t": 100, "b": 10}, legend={"y": 1.09})
    figure.update_xaxes(showticklabels=False, showgrid=False, mirror=True)
    figure.update_yaxes(showticklabels=False, showgrid=False, mirror=True)
    return figure


def _points(domain: Embeddings, xy: Float[Tensor, "n 2"], colour: str, showlegend: bool) -> go.Scatter:
    """The points of one domain on one map, each with its class."""
    names = [escape_plotly(name) for name in domain.class_names]
    return go.Scatter(
        x=xy[:, 0].numpy(),
        y=xy[:, 1].numpy(),
        mode="markers",
        marker={"size": 5, "opacity": 0.7, "color": colour},
        name=escape_plotly(domain.domain),
        legendgroup=domain.domain,
        showlegend=showlegend,
        text=[names[c] for c in domain.labels.tolist()],
        hovertemplate="%{text}<extra>%{fullData.name}</extra>",
    )


def _buttons(
    domains: Sequence[Embeddings], colours: Mapping[str, str], maps: int, images: list[dict]
) -> list[dict]:
    """Buttons that restyle the traces, a trace for each domain on each map, and put images onto the maps."""
    last = max(len(domains[0].class_names) - 1, 1)
    by_domain = {"marker.color": [colours[d.domain] for d in domains] * maps}
    # A class is a number on a scale: a third of the bytes of a colour's name at every point.
    scale = [[i / last, colour] for i, colour in enumerate(class_colours(last + 1))]
    by_class = {"marker.color": [d.labels.tolist() for d in domains] * maps, "marker.colorscale": [scale]}
    by_class |= {"marker.cmin": 0, "marker.cmax": last}
    views = (("by domain", by_domain, 0.7, []), ("by class", by_class, 0.7, []))
    return [
        {"label": label, "method": "update", "args": [style | {"marker.opacity": opacity}, {"images": shown}]}
        for label, style, opacity, shown in (*views, ("images", by_domain, 0.2, images))
    ]
