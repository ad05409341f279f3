"""Maps of the embedding space, before and after training, side by side."""

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go
import torch
from jaxtyping import Float
from plotly.subplots import make_subplots
from torch import Tensor

from tpsnet.types import Embeddings, InputError
from tpsnet.viz.figures.pictures import place
from tpsnet.viz.house import TEMPLATE, class_colours, domain_colours
from tpsnet.viz.thumbnails import data_uri


def embedding_maps(
    maps: Mapping[str, Float[Tensor, "points 2"]],
    domains: Sequence[Embeddings],
    *,
    pictures: int = 60,
    pixels: int = 28,
) -> go.Figure:
    """One panel a map, all of the same points; buttons colour them by domain or class, or show pictures.

    Args:
        maps: name, e.g. ``"frozen"``, to coordinates: the first domain's points, then the second's, …
        domains: the embeddings behind the points (labels, names, files).
        pictures: how many points, spread over the domains, the picture view draws as their drawings.
        pixels: side of such a drawing.

    Raises:
        InputError: a map whose points are not the domains' pictures.
    """
    sizes = [len(d) for d in domains]
    for name, points in maps.items():
        if len(points) != sum(sizes):
            raise InputError(
                f"map {name!r} has {len(points)} points for {sum(sizes)} pictures; project them again"
            )
    colours, classes = domain_colours([d.domain for d in domains]), len(domains[0].class_names)
    figure = make_subplots(rows=1, cols=len(maps), subplot_titles=list(maps), horizontal_spacing=0.03)
    by_class, images = [], []
    sample = torch.linspace(0, sum(sizes) - 1, min(pictures, sum(sizes))).round().long().tolist()
    paths = [path for d in domains for path in d.paths]
    sources = {i: data_uri(paths[i], pixels) for i in sample}
    for column, points in enumerate(maps.values(), start=1):
        for domain, xy in zip(domains, points.float().split(sizes), strict=True):
            names = [domain.class_names[c] for c in domain.labels.tolist()]
            figure.add_scatter(
                x=xy[:, 0].numpy(),
                y=xy[:, 1].numpy(),
                mode="markers",
                marker={"size": 5, "opacity": 0.7, "color": colours[domain.domain]},
                name=domain.domain,
                legendgroup=domain.domain,
                showlegend=column == 1,
                text=names,
                hovertemplate="%{text}<extra>" + domain.domain + "</extra>",
                row=1,
                col=column,
            )
            by_class.append(domain.labels.tolist())
        span = float((points.amax(dim=0) - points.amin(dim=0)).max())
        suffix = "" if column == 1 else str(column)
        images += [place(sources[i], *points[i].tolist(), span / 16, pixels, suffix) for i in sample]
    by_domain = {"marker.color": [colours[trace.name] for trace in figure.data]}
    # A class is a number on a scale: a third of the bytes of a colour's name at every point.
    scale = [[i / max(classes - 1, 1), colour] for i, colour in enumerate(class_colours(max(classes, 2)))]
    by_class = {"marker.color": by_class, "marker.colorscale": [scale], "marker.cmin": 0}
    by_class["marker.cmax"] = max(classes - 1, 1)
    buttons = [
        _button("by domain", by_domain | {"marker.opacity": 0.7}, []),
        _button("by class", by_class | {"marker.opacity": 0.7}, []),
        _button("pictures", by_domain | {"marker.opacity": 0.2}, images),
    ]
    menu = {"type": "buttons", "direction": "right", "buttons": buttons, "x": 0, "xanchor": "left", "y": 1.2}
    figure.update_layout(template=TEMPLATE, updatemenus=[menu], width=395 * len(maps) + 10, height=490)
    figure.update_layout(margin={"l": 10, "r": 10, "t": 100, "b": 10}, legend={"y": 1.09})
    figure.update_xaxes(showticklabels=False, showgrid=False, mirror=True)
    figure.update_yaxes(showticklabels=False, showgrid=False, mirror=True)
    return figure


def _button(label: str, style: dict, images: list[dict]) -> dict:
    """A button that restyles the traces and puts ``images`` onto the maps."""
    return {"label": label, "method": "update", "args": [style, {"images": images}]}
