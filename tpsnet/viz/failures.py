"""Where retrieval fails, on images: contact sheets of hubs, of style before class, of flipped queries."""

from collections.abc import Mapping, Sequence

import torch
from PIL import Image

from tpsnet.evaluation import flipped, hubs, rank, style_before_class
from tpsnet.evaluation.saved import Both
from tpsnet.types import Embeddings
from tpsnet.viz.thumbnails import Tile, contact_sheet, paletted


def hub_sheet(methods: Mapping[str, Both], *, k: int = 15, shown: int = 10) -> Image.Image:
    """The gallery images that each method returns most often, one row per method.

    Args:
        methods: Name of each method to its queries and gallery.
        k: Number of results per query: an image is returned to a query when it is among its first ``k``.
        shown: Number of images in a row.

    Raises:
        InputError: See ``evaluation.hubs``.
    """
    rows, headings = [], []
    for name, (query, gallery) in methods.items():
        found = hubs(query, gallery, k)
        most = found.occurrence.argsort(descending=True, stable=True)[:shown].tolist()
        times, wrong = found.occurrence.tolist(), found.wrong.tolist()
        rows.append([Tile(gallery.paths[i], f"{times[i]}, {wrong[i]} wrong") for i in most])
        fair = float(found.occurrence.double().mean())
        headings.append(f"{name}: skewness {found.skewness:.1f}, {fair:.0f} times each, if all were equal")
    return paletted(contact_sheet(rows, headings, size=72))


def style_sheet(query: Embeddings, gallery: Embeddings, *, shown: int = 10) -> Image.Image | None:
    """Queries whose own style wins over their class: the query, what wins, the gallery's first.

    Rejections do not count: a rejected query, or one without a match, has a style too.

    Args:
        query: Embeddings of the queries.
        gallery: Embeddings of the gallery, the other domain.
        shown: Largest number of queries, spread over all.

    Returns:
        Three rows, one column per query; ``None`` where there is no such query.

    Raises:
        InputError: See ``evaluation.style_before_class``.
    """
    winner = style_before_class(query, gallery)
    lost = _spread((winner >= 0).nonzero()[:, 0].tolist(), shown)
    if not lost:
        return None
    rows = [
        [_tile(query, i) for i in lost],
        [_tile(query, int(winner[i]), False) for i in lost],
        _answers(query.subset(lost), gallery),
    ]
    headings = ["query", f"nearest among {query.domain}", f"nearest among {gallery.domain}"]
    return paletted(contact_sheet(rows, headings, size=64))


def flip_sheet(before: Both, after: Both, names: tuple[str, str], *, shown: int = 10) -> Image.Image | None:
    """Queries whose first answer is right under one system and wrong under the other, with both answers.

    Args:
        before: Queries and gallery through one system.
        after: The same images through another.
        names: Names of the two systems.
        shown: Largest number of queries of either kind, spread over all.

    Returns:
        Three rows for what ``after`` gains, three for what it loses; ``None`` where no query flips.

    Raises:
        InputError: See ``evaluation.flipped``.
    """
    rows, headings = [], []
    for kind, queries in zip(("gained", "lost"), flipped(before, after), strict=True):
        chosen = _spread(queries.tolist(), shown)
        if not chosen:
            continue
        rows.append([_tile(before[0], i) for i in chosen])
        headings.append(f"{kind} by {names[1]}: {len(queries)} of {len(before[0])} queries")
        for name, (query, gallery) in zip(names, (before, after), strict=True):
            rows.append(_answers(query.subset(chosen), gallery))
            headings.append(f"first answer of {name}")
    return paletted(contact_sheet(rows, headings, size=64)) if rows else None


def _spread(positions: Sequence[int], shown: int) -> list[int]:
    """At most ``shown`` of the positions, at even distances."""
    if len(positions) <= shown:
        return list(positions)
    return [positions[i] for i in torch.linspace(0, len(positions) - 1, shown).long().tolist()]


def _tile(domain: Embeddings, position: int, right: bool | None = None) -> Tile:
    return Tile(domain.paths[position], domain.class_names[int(domain.labels[position])], right)


def _answers(query: Embeddings, gallery: Embeddings) -> list[Tile]:
    """First answers; one that is withheld by "no match" is wrong, whatever it is."""
    first = rank(query, gallery, 1)
    columns = (first.indices[:, 0], first.relevant[:, 0], first.rejected)
    return [
        Tile(gallery.paths[item], "no match", False) if away else _tile(gallery, item, right)
        for item, right, away in zip(*(column.tolist() for column in columns), strict=True)
    ]
