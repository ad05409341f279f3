"""Zero-shot retrieval: what the map between the texts of two domains does."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from tpsnet.errors import InputError
from tpsnet.escape import escape_plotly
from tpsnet.viz.figures.figure import Figure, subplots
from tpsnet.viz.figures.plane import links, principal_plane
from tpsnet.viz.theme import INK, domain_colours


def text_map_arrows(
    start: Float[Tensor, "a dim"],
    goal: Float[Tensor, "b dim"],
    mapped: Float[Tensor, "c dim"],
    words: Sequence[str],
    domains: tuple[str, str],
) -> Figure:
    """Texts of two domains in the plane, an arrow from each word in one to the same word in the other.

    Left as they are, right with the first domain mapped; the plane is that of the first two principal axes
    of the two domains' texts, and the mean length of the arrows in full space stands above.

    Args:
        start: Embeddings of the texts of the first domain.
        goal: Embeddings of the same words in the second domain.
        mapped: ``start`` after the map.
        words: The words themselves.
        domains: Names of the domains.

    Raises:
        InputError: The numbers of texts and words differ, or there are none.
    """
    if not len(start) == len(goal) == len(mapped) == len(words) or not len(words):
        raise InputError(
            f"arrows between {len(start)}, {len(goal)} and {len(mapped)} texts of {len(words)} words; "
            "give one of each a word"
        )
    flat = principal_plane(torch.cat([start, goal]))
    sides = {"as they are": start, "mapped": mapped}
    titles = [
        f"{name}: mean arrow {float((texts - goal).double().norm(dim=1).mean()):.2f}"
        for name, texts in sides.items()
    ]
    figure = subplots(1, 2, subplot_titles=titles, shared_xaxes="all", shared_yaxes="all")
    colours, end = domain_colours(domains), flat(goal)
    arrow = {"mode": "lines", "line": {"color": INK, "width": 1}, "showlegend": False, "hoverinfo": "skip"}
    for column, texts in enumerate(sides.values(), start=1):
        begin = flat(texts)
        figure.add_scatter(**links(begin, end), **arrow, row=1, col=column)
        for domain, points in zip(domains, (begin, end), strict=True):
            x, y = points.T.tolist()
            figure.add_scatter(
                x=x,
                y=y,
                mode="markers",
                name=escape_plotly(domain),
                text=[escape_plotly(word) for word in words],
                hovertemplate="%{text}<extra>%{fullData.name}</extra>",
                marker={"color": colours[domain], "size": 6, "opacity": 0.85},
                showlegend=column == 1,
                row=1,
                col=column,
            )
    figure.update_layout(width=900, height=430, legend={"y": 1.08})
    figure.update_xaxes(showticklabels=False)
    figure.update_yaxes(showticklabels=False)
    return figure
