"""One self-contained HTML file: text, tables, figures and images inside it, nothing fetched from anywhere."""

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import mistune
import plotly.graph_objects as go
from jaxtyping import Float
from plotly.offline import get_plotlyjs
from torch import Tensor

from tpsnet.escape import escape_html, printable
from tpsnet.types import Embeddings
from tpsnet.viz.figures.figure import CONFIG
from tpsnet.viz.hover_map import fitted
from tpsnet.viz.theme import domain_colours
from tpsnet.viz.thumbnails import Tile, data_uri, encode_all

SIDE, CARD = 72, 64  # px of a tile, and of a point's picture
SHOWN = 3000  # points of a map that get a picture

_markdown = mistune.create_markdown(escape=True, plugins=["table"])


def document(title: str, sections: Sequence[str]) -> str:
    """A whole page.

    Args:
        title: Its title.
        sections: HTML, one after the other.
    """
    style, script = (
        Path(__file__).with_name(name).read_text("utf-8") for name in ("report.css", "report.js")
    )
    name = escape_html(title)
    head = f"<meta charset=utf-8><meta name=viewport content='width=device-width'><title>{name}</title>"
    head += f"<style>{style}</style><script>{get_plotlyjs()}</script>"
    body = f"<h1>{name}</h1>{''.join(sections)}<script>{script}</script>"
    return f"<!doctype html><html lang=en><head>{head}</head><body>{body}</body></html>\n"


def markdown(text: str) -> str:
    """Markdown with tables as HTML; HTML inside it stays text."""
    return f"<div class=scroll>{_markdown(text)}</div>"


def section(title: str, *parts: str) -> str:
    """A heading and what stands below it."""
    return f"<section><h2>{escape_html(title)}</h2>{''.join(parts)}</section>"


def note(text: str) -> str:
    """A line that must not be passed over."""
    return f"<p class=note role=note>{escape_html(text)}</p>"


def plot(figure: go.Figure) -> str:
    """A Plotly figure that can be zoomed and hovered."""
    return figure.to_html(full_html=False, include_plotlyjs=False, config=dict(CONFIG))


def picture(png: bytes, what: str) -> str:
    """A PNG."""
    return f"<img alt='{escape_html(what)}' src='data:image/png;base64,{base64.b64encode(png).decode()}'>"


def grid(rows: Mapping[str, Sequence[Tile]]) -> str:
    """Rows of tiles, each with its heading; right and wrong differ by colour, sign and frame."""
    return "".join(
        f"<h4>{escape_html(heading)}</h4><div class=row>{''.join(map(_tile, tiles))}</div>"
        for heading, tiles in rows.items()
    )


def embedding_map(domains: Sequence[Embeddings], points: Float[Tensor, "points 2"], what: str) -> str:
    """Points that show their picture when they are hovered; of very many a part is drawn.

    Args:
        domains: The images, by domain.
        points: Their coordinates, in that order.
        what: What the map shows, for its heading.
    """
    colours = domain_colours([part.domain for part in domains])
    everything = [(part, i) for part in domains for i in range(len(part))]
    step = -(-len(everything) // SHOWN)
    chosen = range(0, len(everything), step)
    images = encode_all([everything[i][0].paths[everything[i][1]] for i in chosen], CARD)
    spots, names = fitted(points), []
    for i in chosen:
        part, position = everything[i]
        label = part.class_names[int(part.labels[position])] if part.labelled else f"image {position}"
        names.append(printable(f"{label} ({part.domain})"))
    data = {
        "points": [[round(v, 4) for v in spots[i].tolist()] for i in chosen],
        "colours": [colours[everything[i][0].domain] for i in chosen],
        "names": names,
        "images": [base64.b64encode(image).decode() for image in images],
    }
    text = json.dumps(data).replace("<", "\\u003c")  # no name ends the script
    keys = "".join(
        f"<span><b style='color:{colour}'>●</b> {escape_html(name)}</span> "
        for name, colour in colours.items()
    )
    few = f"{len(chosen)} of {len(everything)} images. " if step > 1 else ""
    return (
        f"<h4>{escape_html(what)}</h4><p>{few}{keys}</p><div class=map><canvas role=img "
        f"aria-label='{escape_html(what)}'></canvas><div class=card hidden></div>"
        f"<script type=application/json>{text}</script></div>"
    )


def _tile(tile: Tile) -> str:
    kind = {True: "right", False: "wrong", None: "query"}[tile.right]
    sign = {True: "✓ ", False: "✗ ", None: ""}[tile.right]
    caption = escape_html(sign + tile.caption)
    label = escape_html(f"{tile.caption}{'' if tile.right is None else ', ' + kind}")
    return (
        f"<figure class={kind}><img alt='{label}' src='{data_uri(tile.image, SIDE)}'>"
        f"<figcaption dir=auto>{caption}</figcaption></figure>"
    )
