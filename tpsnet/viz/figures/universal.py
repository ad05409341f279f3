"""Universal retrieval: how many clusters, which of them merge, and which queries are sent away."""

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go
import torch
from jaxtyping import Bool, Float, Int
from plotly.subplots import make_subplots
from torch import Tensor

from tpsnet.types import InputError
from tpsnet.viz.house import AFTER, BEFORE, INK, RIGHT, TEMPLATE, WRONG, domain_colours


def elbow_curves(curves: Mapping[str, tuple[Sequence[int], Sequence[float], int]]) -> go.Figure:
    """The k-means cost over the number of clusters, with the elbow marked; a line for each domain.

    Args:
        curves: domain name to its grid, the cost of each value, and the chosen one.
    """
    colours = domain_colours(list(curves))
    figure = go.Figure()
    for name, (ks, inertia, chosen) in curves.items():
        line = {"color": colours[name], "width": 2}
        figure.add_scatter(x=list(ks), y=list(inertia), mode="lines", name=name, line=line)
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
    figure.update_layout(template=TEMPLATE, width=760, height=320)
    figure.update_xaxes(title="clusters")
    figure.update_yaxes(title="k-means cost", rangemode="tozero")
    return figure


def prototype_map(
    own: Float[Tensor, "a dim"],
    other: Float[Tensor, "b dim"],
    moved: Float[Tensor, "b dim"],
    pairs: Int[Tensor, "pair 2"],
    names: tuple[str, str],
) -> go.Figure:
    """Prototypes of two domains in the plane, as they are and after the translation, merged pairs linked.

    The plane is that of the first two principal axes of ``own`` and ``moved`` together.

    Args:
        own: prototypes of the first domain.
        other: prototypes of the second, where they are.
        moved: the same after the translation.
        pairs: rows of ``own`` and of ``moved`` that merge.
        names: of the domains.
    """
    both = torch.cat([own, moved])
    axes = torch.linalg.svd(both - both.mean(dim=0), full_matrices=False).Vh[:2]
    own, other, moved = (((x - both.mean(dim=0)) @ axes.T).cpu() for x in (own, other, moved))
    pairs = pairs.cpu()
    figure = make_subplots(
        1, 2, subplot_titles=("as they are", f"after translation: {len(pairs)} pairs merge")
    )
    links = torch.stack([own[pairs[:, 0]], moved[pairs[:, 1]]], dim=1)  # (pair, end, axis)
    xs, ys = ([v for link in links[..., axis].tolist() for v in (*link, None)] for axis in range(2))
    figure.add_scatter(x=xs, y=ys, mode="lines", line={"color": INK, "width": 1}, name="merged", row=1, col=2)
    colours = domain_colours(names)
    for column, second in enumerate((other, moved), start=1):
        for name, points, symbol in zip(names, (own, second), ("circle", "diamond"), strict=True):
            marker = {"color": colours[name], "size": 8, "symbol": symbol, "opacity": 0.85}
            x, y = points.T.tolist()
            figure.add_scatter(
                x=x, y=y, mode="markers", marker=marker, name=name, showlegend=column == 1, row=1, col=column
            )
    figure.update_layout(template=TEMPLATE, width=900, height=430)
    figure.update_layout(legend={"y": 1.08})
    figure.update_xaxes(showticklabels=False)
    figure.update_yaxes(showticklabels=False, scaleanchor="x", scaleratio=1)
    return figure


def verdicts(
    distance: Float[Tensor, " query"],
    threshold: Float[Tensor, " query"],
    private: Bool[Tensor, " query"],
) -> go.Figure:
    """Queries by how far they are from their threshold; right of the line they are sent away.

    Queries whose cluster found no partner have no finite threshold: they stand apart, at the right.

    Args:
        distance: to the nearest gallery picture.
        threshold: largest distance that passes; −∞ where the cluster alone decides.
        private: the truth.

    Raises:
        InputError: nothing to draw.
    """
    if not len(distance):
        raise InputError("no queries, so no verdicts to draw")
    ratio = (distance / threshold.clamp_min(1e-12)).clamp_max(1.45)
    ratio[threshold.isinf()] = 1.65
    figure = go.Figure()
    for truth, name, colour in ((False, "has a match", RIGHT), (True, "private", WRONG)):
        counts = torch.histc(ratio[private == truth].float(), bins=34, min=0.0, max=1.7)
        centres = [0.025 + 0.05 * i for i in range(34)]
        figure.add_bar(x=centres, y=counts.tolist(), name=name, marker={"color": colour}, width=0.05)
    figure.add_vline(x=1.0, line={"color": INK, "dash": "dash"})
    rejected = distance > threshold
    wrong_away, wrong_kept = int((rejected & ~private).sum()), int((~rejected & private).sum())
    title = f"{wrong_away} of {int((~private).sum())} with a match sent away, "
    title += f"{wrong_kept} of {int(private.sum())} private ones kept"
    figure.update_layout(template=TEMPLATE, barmode="stack", width=900, height=340, title=title)
    figure.update_layout(legend={"y": 1.0})
    ticks = [0, 0.25, 0.5, 0.75, 1, 1.25, 1.45, 1.65]
    texts = ["0", "0.25", "0.5", "0.75", "1", "1.25", "≥ 1.45", "not merged"]
    figure.update_xaxes(
        title="distance to the nearest gallery picture / threshold", tickvals=ticks, ticktext=texts
    )
    figure.update_yaxes(title="queries")
    return figure


def ablation_bars(scores: Mapping[str, Mapping[str, float]]) -> go.Figure:
    """Some numbers of several variants beside one another, the first variant in blue.

    Args:
        scores: variant to number by metric name, the same metrics in each.
    """
    metrics = list(next(iter(scores.values())))
    figure = make_subplots(1, len(metrics), subplot_titles=metrics, shared_yaxes=True)
    names = list(scores)
    colours = [AFTER, *[BEFORE] * (len(names) - 1)]
    for column, metric in enumerate(metrics, start=1):
        values = [scores[name][metric] for name in names]
        figure.add_bar(
            x=values,
            y=names,
            orientation="h",
            marker={"color": colours},
            text=[f"{v:.1f}" for v in values],
            textposition="auto",
            showlegend=False,
            row=1,
            col=column,
        )
    figure.update_layout(template=TEMPLATE, width=900, height=90 + 34 * len(names))
    figure.update_xaxes(range=[0, 100])
    figure.update_yaxes(autorange="reversed")
    return figure
