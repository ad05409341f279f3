"""Zero-shot retrieval: what the map between the texts of two domains does."""

from collections.abc import Sequence

import plotly.graph_objects as go
import torch
from jaxtyping import Float
from plotly.subplots import make_subplots
from torch import Tensor

from tpsnet.types import InputError
from tpsnet.viz.house import INK, TEMPLATE, domain_colours


def text_map_arrows(
    start: Float[Tensor, "a dim"],
    goal: Float[Tensor, "b dim"],
    mapped: Float[Tensor, "c dim"],
    words: Sequence[str],
    domains: tuple[str, str],
) -> go.Figure:
    """Texts of two domains in the plane, an arrow from each word in one to the same word in the other.

    Left as they are, right with the first domain mapped; the plane is that of the first two principal axes
    of the two domains' texts, and the mean length of the arrows in full space stands above.

    Args:
        start: texts of the first domain.
        goal: the same words in the second.
        mapped: ``start`` after the map.
        words: what they say.
        domains: their names.

    Raises:
        InputError: numbers of texts and words that differ, or none.
    """
    if not len(start) == len(goal) == len(mapped) == len(words) or not len(words):
        raise InputError(
            f"arrows between {len(start)}, {len(goal)} and {len(mapped)} texts of {len(words)} words; "
            "give one of each a word"
        )
    both = torch.cat([start, goal]).double()
    centre = both.mean(dim=0)
    axes = torch.linalg.svd(both - centre, full_matrices=False).Vh[:2]
    lengths = [float((x - goal).double().norm(dim=1).mean()) for x in (start, mapped)]
    titles = [
        f"{name}: mean arrow {n:.2f}" for name, n in zip(("as they are", "mapped"), lengths, strict=True)
    ]
    figure = make_subplots(1, 2, subplot_titles=titles, shared_xaxes="all", shared_yaxes="all")
    colours = domain_colours(domains)
    end = (goal.double() - centre) @ axes.T
    for column, texts in enumerate((start, mapped), start=1):
        begin = (texts.double() - centre) @ axes.T
        links = torch.stack([begin, end], dim=1)  # (word, end, axis)
        xs, ys = ([v for link in links[..., axis].tolist() for v in (*link, None)] for axis in range(2))
        place = {"row": 1, "col": column}
        figure.add_scatter(
            x=xs,
            y=ys,
            mode="lines",
            line={"color": INK, "width": 1},
            showlegend=False,
            hoverinfo="skip",
            **place,
        )
        for domain, points in zip(domains, (begin, end), strict=True):
            x, y = points.T.tolist()
            figure.add_scatter(
                x=x,
                y=y,
                mode="markers",
                name=domain,
                text=list(words),
                hovertemplate="%{text}<extra>" + domain + "</extra>",
                marker={"color": colours[domain], "size": 6, "opacity": 0.85},
                showlegend=column == 1,
                **place,
            )
    figure.update_layout(template=TEMPLATE, width=900, height=430, legend={"y": 1.08})
    figure.update_xaxes(showticklabels=False)
    figure.update_yaxes(showticklabels=False)
    return figure
