"""Drawings: how the packages keep them, and how they become pixels."""

import io
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
from PIL import Image

from tools.assets.emoji_names import emoji_table, match_names, normal_hexcode
from tools.assets.sources import SYMBOLA, fetch, package_folder, symbola_font

NOTO_MONO = "files/noto-emoji-emoji-400-normal.woff"


@dataclass(frozen=True)
class Drawing:
    """One image before it has pixels; exactly one of ``svg`` and ``path`` is set.

    Attributes:
        family: key of ``families.FAMILIES``.
        name: what the family calls it: icon name, file name or code point.
        hexcode: the emoji it shows, ``""`` for an icon set.
        svg: a whole SVG document.
        path: a raster image.
    """

    family: str
    name: str
    hexcode: str
    svg: str = ""
    path: Path | None = None


def render(drawing: Drawing, size: int, ink: str = "#000000") -> np.ndarray:
    """Draw into a square, proportions kept, centred.

    Args:
        drawing: what to draw.
        size: edge in pixels.
        ink: CSS colour of drawings that leave theirs open (``currentColor``).

    Returns:
        uint8 ``[size, size, 4]``, RGB with straight alpha.
    """
    if drawing.path is not None:
        with Image.open(drawing.path) as file:
            return np.array(file.convert("RGBA").resize((size, size), Image.Resampling.LANCZOS))
    import resvg_py  # of the extra `assets`; the tables of families and objects do without it

    svg = drawing.svg.replace("currentColor", ink)
    png = resvg_py.svg_to_bytes(svg_string=svg, width=size, height=size, skip_system_fonts=True)
    with Image.open(io.BytesIO(bytes(png))) as file:
        return np.array(file.convert("RGBA"))


def render_many(
    drawings: Sequence[Drawing], size: int, processes: int = 2, ink: str = "#000000"
) -> np.ndarray:
    """``render`` over many drawings in worker processes: uint8 ``[n, size, size, 4]``."""
    with ProcessPoolExecutor(processes) as pool:
        return np.stack(list(pool.map(partial(render, size=size, ink=ink), drawings, chunksize=64)))


def read_drawings(family: str, package: str, kind: str) -> Iterator[Drawing]:
    """The drawings of a family that stand for a base emoji.

    Args:
        family: key put into each drawing.
        package: where they lie.
        kind: ``"iconify"``, ``"svg files"``, ``"webp files"``, ``"font"``.
    """
    if kind == "iconify":
        yield from _iconify(family, package)
    elif kind == "svg files":
        for code, file in _files(package_folder(package) / "black" / "svg", ".svg"):
            yield Drawing(family, file.stem, code, svg=file.read_text())
    elif kind == "webp files":
        for code, file in _files(package_folder(package) / "assets", ".webp"):
            yield Drawing(family, file.stem, code, path=file)
    elif kind == "font":
        yield from _font(family, package)
    else:
        raise ValueError(f"{family} is a set of {kind}, not of emoji: ask for its icons by name")


def read_icon(family: str, package: str, name: str) -> Drawing:
    """One icon of an Iconify set by its own name; ``KeyError`` when there is none."""
    icons = icon_set(package)
    return Drawing(family, name, "", svg=svg_document(icons, resolve_icon(icons, name)))


@cache
def icon_set(package: str) -> dict:
    """The parsed ``icons.json`` of an Iconify package."""
    return json.loads((package_folder(package) / "icons.json").read_text())


def resolve_icon(icons: dict, name: str) -> dict:
    """The icon behind a name, through aliases that neither turn nor mirror it."""
    alias = icons.get("aliases", {}).get(name)
    if alias is None:
        return icons["icons"][name]
    if set(alias) - {"parent", "hidden"}:
        raise KeyError(f"{name} is a turned or mirrored copy of {alias['parent']}")
    return resolve_icon(icons, alias["parent"])


def svg_document(icons: dict, icon: dict) -> str:
    """The icon as a square document, its box centred."""
    left, top, width, height = (
        icon.get(key, icons.get(key, default))
        for key, default in (("left", 0), ("top", 0), ("width", 16), ("height", 16))
    )
    return _square(left, top, width, height, icon["body"])


def _square(left: float, top: float, width: float, height: float, body: str) -> str:
    edge = max(width, height)
    box = f"{left - (edge - width) / 2} {top - (edge - height) / 2} {edge} {edge}"
    spaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f'<svg {spaces} viewBox="{box}">{body}</svg>'


def _iconify(family: str, package: str) -> Iterator[Drawing]:
    """Icons whose emoji ``chars.json`` or, where that is empty, their own name tells."""
    icons = icon_set(package)
    chars = json.loads((package_folder(package) / "chars.json").read_text())
    if chars:
        found = [(name, normal_hexcode(code)) for code, name in chars.items()]
    else:
        plain = (k for k, alias in icons.get("aliases", {}).items() if set(alias) <= {"parent", "hidden"})
        names = [*icons["icons"], *plain]
        codes = match_names(names, emoji_table().values(), numbered=family == "streamline")
        found = list(codes.items())
    seen = set()
    for name, code in found:
        icon = resolve_icon(icons, name)
        if code in emoji_table() and (code, icon["body"]) not in seen:
            seen.add((code, icon["body"]))
            yield Drawing(family, name, code, svg=svg_document(icons, icon))


def _files(folder: Path, suffix: str) -> Iterator[tuple[str, Path]]:
    for file in sorted(folder.glob(f"*{suffix}")):
        code = normal_hexcode(file.stem)
        if code in emoji_table():
            yield code, file


def _font(family: str, package: str) -> Iterator[Drawing]:
    """Glyph outlines of single code points, each in a square that just holds it."""
    from fontTools.pens.boundsPen import BoundsPen
    from fontTools.pens.svgPathPen import SVGPathPen
    from fontTools.ttLib import TTFont

    if package == SYMBOLA:
        fetch([SYMBOLA])
        file = symbola_font()
    else:
        file = package_folder(package) / NOTO_MONO
    with TTFont(file) as font:
        glyphs, cmap = font.getGlyphSet(), font.getBestCmap()
        for code in emoji_table():
            glyph = None if "-" in code else cmap.get(int(code, 16))
            if glyph is None:
                continue
            pen, bounds = SVGPathPen(glyphs), BoundsPen(glyphs)
            glyphs[glyph].draw(pen)
            glyphs[glyph].draw(bounds)
            if bounds.bounds is None:
                continue
            x0, y0, x1, y1 = bounds.bounds
            margin = 0.04 * max(x1 - x0, y1 - y0)
            body = f'<path transform="scale(1 -1)" d="{pen.getCommands()}"/>'
            svg = _square(x0 - margin, -y1 - margin, x1 - x0 + 2 * margin, y1 - y0 + 2 * margin, body)
            yield Drawing(family, glyph, code, svg=svg)
