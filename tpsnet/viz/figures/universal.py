"""Universal retrieval: how many clusters, which of them merge, and which queries are rejected."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from tpsnet.errors import InputError
from tpsnet.escape import escape_plotly
from tpsnet.viz.figures.figure import Figure, subplots
from tpsnet.viz.figures.plane import links, principal_plane
from tpsnet.viz.theme import INK, RIGHT, WRONG, domain_colours


def elbow_curves(curves: Mapping[str, tuple[Sequence[int], Sequence[float], int]]) -> Figure:
    """The k-means cost over the number of clusters, with the elbow marked; a line for each domain.

    Args:
        curves: Domain name to its grid, the cost of each value, and the chosen one.
    """
    colours = domain_colours(list(curves))
    figure = Figure()
    for name, (ks, inertia, chosen) in curves.items():
        line = {"color": colours[name], "width": 2}
        figure.add_scatter(x=list(ks), y=list(inertia), mode="lines", name=escape_plotly(name), line=line)
        height = inertia[list(ks).index(chosen)]
        figure.add_scatter(
            x=[chosen],
            y=[height],
            mode="markers+text",
            text=[str(chosen)],
            textposition="top right",
            marker={"color": colours[name], "size": 11},
            showlegend=False,
        )
    figure.update_layout(width=760, height=320)
    figure.update_xaxes(title="clusters")
    figure.update_yaxes(title="k-means cost", rangemode="tozero")
    return figure


def prototype_map(
    own: Float[Tensor, "a dim"],
    other: Float[Tensor, "b dim"],
    moved: Float[Tensor, "b dim"],
    pairs: Int[Tensor, "pair 2"],
    names: tuple[str, str],
) -> Figure:
    """Prototypes of two domains in the plane, as they are and after the translation, merged pairs linked.

    The plane is that of the first two principal axes of ``own`` and ``moved`` together.

    Args:
        own: Prototypes of the first domain.
        other: Prototypes of the second domain, where they are.
        moved: The same prototypes after the translation.
        pairs: Rows of ``own`` and of ``moved`` that merge.
        names: Names of the domains.
    """
    flat = principal_plane(torch.cat([own, moved]))
    own, other, moved = (flat(x) for x in (own, other, moved))
    pairs = pairs.cpu()
    titles = ("as they are", f"after translation: {len(pairs)} pairs merge")
    figure = subplots(1, 2, subplot_titles=titles)
    merged = links(own[pairs[:, 0]], moved[pairs[:, 1]])
    figure.add_scatter(**merged, mode="lines", line={"color": INK, "width": 1}, name="merged", row=1, col=2)
    colours = domain_colours(names)
    for column, second in enumerate((other, moved), start=1):
        for name, points, symbol in zip(names, (own, second), ("circle", "diamond"), strict=True):
            marker = {"color": colours[name], "size": 8, "symbol": symbol, "opacity": 0.85}
            x, y = points.T.tolist()
            style = {"mode": "markers", "marker": marker, "name": escape_plotly(name)}
            figure.add_scatter(x=x, y=y, **style, showlegend=column == 1, row=1, col=column)
    figure.update_layout(width=900, height=430, legend={"y": 1.08})
    figure.update_xaxes(showticklabels=False)
    figure.update_yaxes(showticklabels=False, scaleanchor="x", scaleratio=1)
    return figure


def rejection_distances(
    distance: Float[Tensor, " query"],
    threshold: Float[Tensor, " query"],
    without_match: Bool[Tensor, " query"],
) -> Figure:
    """Queries by how far they are from their threshold; right of the line they are rejected.

    Queries whose cluster found no partner have no finite threshold: they stand apart, at the right.

    Args:
        distance: How far each query is from a match.
        threshold: Largest distance that passes; −∞ where the cluster alone decides.
        without_match: The truth: whether the gallery holds no image of the query's class.

    Raises:
        InputError: There are no queries.
    """
    if not len(distance):
        raise InputError("no queries, so no rejections to draw; choose another pair of domains")
    ratio = (distance / threshold.clamp_min(1e-12)).clamp_max(1.45)
    ratio[threshold.isinf()] = 1.65
    figure = Figure()
    for truth, name, colour in ((False, "with a match", RIGHT), (True, "without a match", WRONG)):
        counts = torch.histc(ratio[without_match == truth].float(), bins=34, min=0.0, max=1.7)
        centres = [0.025 + 0.05 * i for i in range(34)]
        figure.add_bar(x=centres, y=counts.tolist(), name=name, marker={"color": colour}, width=0.05)
    figure.add_vline(x=1.0, line={"color": INK, "dash": "dash"})
    rejected = distance > threshold
    wrongly_rejected, wrongly_kept = int((rejected & ~without_match).sum()), (~rejected & without_match).sum()
    title = f"{wrongly_rejected} of {int((~without_match).sum())} queries with a match rejected, "
    title += f"{int(wrongly_kept)} of {int(without_match.sum())} without a match kept"
    figure.update_layout(barmode="stack", width=900, height=340, title=title)
    figure.update_layout(legend={"y": 1.0})
    ticks = [0, 0.25, 0.5, 0.75, 1, 1.25, 1.45, 1.65]
    texts = ["0", "0.25", "0.5", "0.75", "1", "1.25", "≥ 1.45", "not merged"]
    figure.update_xaxes(
        title="distance to the nearest gallery image / threshold", tickvals=ticks, ticktext=texts
    )
    figure.update_yaxes(title="queries")
    return figure
