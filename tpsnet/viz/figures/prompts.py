"""What domain prompts have learned, for a reader's eyes: training sees neither words nor names."""

from collections.abc import Sequence

import plotly.graph_objects as go
import torch
from jaxtyping import Float, Int
from torch import Tensor

from tpsnet.errors import InputError
from tpsnet.escape import escape_plotly
from tpsnet.evaluation.purity import of_majority
from tpsnet.viz.figures.figure import Figure
from tpsnet.viz.figures.images import place
from tpsnet.viz.theme import BEFORE, FAINT, RIGHT, WRONG

LIGHT_TO_BLUE = [[0, "#ffffff"], [1, "#79b4dc"]]


def nearest_words(
    prompts: Float[Tensor, "prompts dim"],
    words: Float[Tensor, "words dim"],
    vocabulary: Sequence[str],
    images: Sequence[Tensor],
    *,
    k: int = 5,
) -> Figure:
    """Each prompt as a row: images of its cluster, then the ``k`` nearest words, darker where nearer.

    Args:
        prompts: The encoded prompts, L2-normalised.
        words: The encoded words, L2-normalised.
        vocabulary: The words themselves.
        images: For each prompt some images of its cluster, uint8 ``(m, 3, h, w)``.
        k: Number of words shown for a prompt.

    Raises:
        InputError: The lengths do not agree, or there are fewer than ``k`` words.
    """
    if len(words) != len(vocabulary) or len(images) != len(prompts) or k > len(vocabulary):
        raise InputError(
            f"{len(prompts)} prompts with {len(images)} rows of images, {len(words)} word vectors for "
            f"{len(vocabulary)} words, k = {k}: "
            "give one row of images a prompt, one vector a word, and at least k words"
        )
    best = (prompts @ words.T).topk(k, dim=1)
    figure = Figure()
    figure.add_heatmap(
        z=best.values.float().cpu().numpy().round(3),
        text=[[escape_plotly(vocabulary[i]) for i in row] for row in best.indices.tolist()],
        x=[f"word {i + 1}" for i in range(k)],
        texttemplate="%{text}<br>%{z:.2f}",
        textfont={"size": 12},
        hoverinfo="skip",
        colorscale=LIGHT_TO_BLUE,
        showscale=False,
        xgap=2,
        ygap=2,
    )
    row_height, column, shown = 46, 110, max(len(row) for row in images)  # pixels, pixels, images
    side = row_height / column  # an image's width in heat map columns
    for r, row in enumerate(images):
        for c, image in enumerate(row):
            placed = place(image, -0.5 - (shown - c - 0.5) * side, float(r), 0.95, 48)
            figure.add_layout_image(placed | {"sizex": round(side * 0.95, 4)})
    left = -0.5 - shown * side
    figure.update_layout(width=round(20 + (k - 0.5 - left) * column), height=45 + row_height * len(prompts))
    figure.update_layout(margin={"l": 10, "r": 10, "t": 35, "b": 10})
    figure.update_xaxes(side="top", range=[left, k - 0.5], showgrid=False, automargin=False)
    figure.update_yaxes(visible=False, range=[len(prompts) - 0.5, -0.5])
    return figure


def repairing_by_confidence(
    before: Int[Tensor, " n"],
    after: Int[Tensor, " n"],
    labels: Int[Tensor, " n"],
    confidence: Float[Tensor, " n"],
    *,
    bins: int = 10,
) -> Figure:
    """Images that changed their prompt, from the least to the most confident tenth, and what they gained.

    Args:
        before: Prompt of each image by k-means.
        after: Prompt of each image by re-pairing.
        labels: Class of each image, to tell repair from damage (see ``evaluation.purity``).
        confidence: Confidence of each image's prompt, e.g. how far the best prompt's cosine is above the
            second best one's.
        bins: Number of groups, of (nearly) equal size.
    """
    moved, was, is_ = before != after, of_majority(before, labels), of_majority(after, labels)
    kinds = (
        ("moved to its class", moved & ~was & is_, RIGHT),
        ("moved, neither", moved & (was == is_), BEFORE),
        ("moved away from its class", moved & was & ~is_, WRONG),
        ("kept its prompt", ~moved, FAINT),
    )
    groups = confidence.argsort(stable=True).tensor_split(bins)
    x = [f"{100 * i // bins}–{100 * (i + 1) // bins} %" for i in range(bins)]
    figure = Figure(layout={"barmode": "stack", "bargap": 0.15})
    for name, chosen, colour in kinds:
        counts = [int(chosen[group].sum()) for group in groups]
        figure.add_bar(x=x, y=counts, name=name, marker={"color": colour})
    figure.update_layout(width=800, height=350, hovermode="x unified", legend={"traceorder": "normal"})
    figure.update_xaxes(title="images, from the least to the most confident")
    figure.update_yaxes(title="images")
    return figure


def prompt_similarity(
    prompts: Float[Tensor, "prompts dim"], centres: Float[Tensor, "clusters dim"], *, title: str = ""
) -> Figure:
    """Heat map of the cosine of each prompt with each cluster centre, each prompt's mean taken off.

    Text and images of a CLIP lie apart, so raw cosines differ little; the difference to the row's mean shows
    which centre a prompt means.

    Args:
        prompts: The encoded prompts, L2-normalised.
        centres: The centres of the clusters, L2-normalised.
        title: Title of the figure.
    """
    cosine = prompts.float().cpu() @ centres.float().cpu().T
    z = cosine - cosine.mean(dim=1, keepdim=True)
    bound = float(z.abs().max())
    figure = Figure(
        go.Heatmap(
            z=z.numpy(),
            colorscale="RdBu_r",
            zmin=-bound,
            zmax=bound,
            colorbar={"title": {"text": "cosine<br>– row mean"}, "thickness": 12},
            hovertemplate="prompt %{y}, cluster %{x}: %{z:.3f}<extra></extra>",
        )
    )
    own = int((torch.arange(len(z)) == z.argmax(dim=1)).sum()) if z.shape[0] == z.shape[1] else None
    note = "" if own is None else f"<br><sup>{own} of {len(z)} prompts are nearest to their own cluster</sup>"
    figure.update_layout(title=escape_plotly(title) + note, width=560, height=520)
    figure.update_xaxes(title="cluster", showgrid=False, constrain="domain")
    figure.update_yaxes(
        title="prompt", autorange="reversed", showgrid=False, scaleanchor="x", constrain="domain"
    )
    return figure
