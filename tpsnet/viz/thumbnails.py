"""Small images: encoded bytes for widgets, data URIs for figures, contact sheets for saved files."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont, UnidentifiedImageError
from torch import Tensor

from tpsnet.errors import InputError
from tpsnet.viz.theme import INK, RIGHT, WRONG

Source = Tensor | Path  # uint8 (3, h, w), or an image file


@dataclass(frozen=True, eq=False)
class Tile:
    """One image of a contact sheet.

    Attributes:
        image: The image as uint8 ``(3, h, w)``, or its file.
        caption: A line below it, cut to the tile's width.
        right: ``True`` or ``False`` draws the frame and mark of a result; ``None`` leaves it bare.
    """

    image: Source
    caption: str = ""
    right: bool | None = None


def thumbnail(source: Source, size: int) -> Image.Image:
    """The image as RGB within ``size`` × ``size`` pixels, its shape kept, on white paper.

    Raises:
        InputError: The file is missing or is no image, or the tensor is not uint8 ``(3, h, w)``.
    """
    if isinstance(source, Tensor):
        if source.dtype != torch.uint8 or source.ndim != 3 or source.shape[0] != 3:
            raise InputError(f"an image must be uint8 (3, h, w), not {source.dtype} {tuple(source.shape)}")
        image = Image.fromarray(source.permute(1, 2, 0).contiguous().numpy())
    else:
        try:
            with Image.open(source) as file:
                image = file.convert("RGBA")
        except (OSError, UnidentifiedImageError) as error:
            raise InputError(f"cannot show {source} ({error}); was the image folder moved?") from None
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    image.thumbnail((size, size), Image.Resampling.BICUBIC)
    return image


def encode(source: Source, size: int = 48, quality: int = 75) -> bytes:
    """The thumbnail as WebP, near 1 kB for a drawing of 48 pixels."""
    buffer = io.BytesIO()
    thumbnail(source, size).save(buffer, "WEBP", quality=quality, method=6)
    return buffer.getvalue()


def data_uri(source: Source, size: int = 48, quality: int = 75) -> str:
    """The thumbnail as text that a figure or a page carries inside itself."""
    return "data:image/webp;base64," + base64.b64encode(encode(source, size, quality)).decode()


def contact_sheet(
    rows: Sequence[Sequence[Tile]], headings: Sequence[str] | None = None, size: int = 64
) -> Image.Image:
    """Draw rows of tiles; a row's heading stands above it.

    Right and wrong results differ by colour, by mark (tick, cross) and by frame (whole, dashed).

    Raises:
        InputError: There is no tile, or there is not one heading per row.
    """
    if not any(len(row) for row in rows):
        raise InputError("a contact sheet needs at least one image")
    if headings is not None and len(headings) != len(rows):
        raise InputError(f"{len(headings)} headings for {len(rows)} rows of images; give one a row")
    small, bold = ImageFont.load_default(10), ImageFont.load_default(12)
    above, pitch_x, pitch_y = 18 * (headings is not None), size + 10, size + 24
    width = max(len(row) for row in rows) * pitch_x + 10
    sheet = Image.new("RGB", (width, len(rows) * (pitch_y + above) + 6), "white")
    draw = ImageDraw.Draw(sheet)
    for r, row in enumerate(rows):
        y = 4 + r * (pitch_y + above)
        if headings is not None:
            draw.text((8, y), headings[r], fill=INK, font=bold)
        for c, tile in enumerate(row):
            x, top = 8 + c * pitch_x, y + above + 2
            image = thumbnail(tile.image, size)
            sheet.paste(image, (x + (size - image.width) // 2, top + (size - image.height) // 2))
            draw.text((x, top + size + 4), _fit(tile.caption, small, size + 6), fill=INK, font=small)
            if tile.right is not None:
                _mark(draw, x, top, size, tile.right)
    return sheet


def paletted(sheet: Image.Image) -> Image.Image:
    """A contact sheet in 256 colours: as PNG a third of the full one's size."""
    return sheet.quantize(256, dither=Image.Dither.NONE)


def png(sheet: Image.Image) -> bytes:
    """A contact sheet as PNG of 256 colours."""
    buffer = io.BytesIO()
    paletted(sheet).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _fit(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """Cut ``text`` to ``width`` pixels."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


def _mark(draw: ImageDraw.ImageDraw, x: int, y: int, size: int, right: bool) -> None:
    """Frame a tile and put its tick or cross into the lower right corner."""
    colour = RIGHT if right else WRONG
    box = (x - 3, y - 3, x + size + 2, y + size + 2)
    if right:
        draw.rectangle(box, outline=colour, width=3)
    else:
        for start in range(0, size + 6, 10):  # dashes
            for edge in (box[1], box[3] - 2):
                draw.rectangle((box[0] + start, edge, min(box[0] + start + 5, box[2]), edge + 2), fill=colour)
            for edge in (box[0], box[2] - 2):
                draw.rectangle((edge, box[1] + start, edge + 2, min(box[1] + start + 5, box[3])), fill=colour)
    left, top = x + size - 13, y + size - 13
    draw.rectangle((left, top, left + 13, top + 13), fill=colour)
    strokes = [[(3, 7), (6, 10), (11, 3)]] if right else [[(3, 3), (10, 10)], [(3, 10), (10, 3)]]
    for stroke in strokes:
        draw.line([(left + a, top + b) for a, b in stroke], fill="white", width=2)
