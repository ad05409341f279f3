"""Small images: encoded bytes for widgets, data URIs for figures, contact sheets for saved files."""

import base64
import hashlib
import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from tpsnet.data import cache_home, decoded
from tpsnet.errors import InputError
from tpsnet.escape import printable
from tpsnet.io import replacing
from tpsnet.viz.theme import INK, RIGHT, WRONG

VERSION = 1  # raise it when thumbnails look otherwise: older files are then passed over
Source = Tensor | Path | Image.Image  # uint8 (3, h, w), an image file, or an RGB image


@dataclass(frozen=True, eq=False)
class Tile:
    """One image of a contact sheet.

    Attributes:
        image: The image as uint8 ``(3, h, w)`` or RGB, or its file.
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
    box = (size, size)
    if isinstance(source, Path):
        try:
            with decoded(source, near=2 * size) as image:
                image.thumbnail(box, Image.Resampling.BICUBIC)
        except Exception as error:  # a broken file provokes any kind of error
            reason = f"{error}" or type(error).__name__
            raise InputError(f"cannot show {source} ({reason}); was the image folder moved?") from None
        return image
    if isinstance(source, Tensor):
        if source.dtype != torch.uint8 or source.ndim != 3 or source.shape[0] != 3:
            raise InputError(f"an image must be uint8 (3, h, w), not {source.dtype} {tuple(source.shape)}")
        image = Image.fromarray(source.permute(1, 2, 0).contiguous().numpy())
    else:
        image = source.copy()
    image.thumbnail(box, Image.Resampling.BICUBIC)
    return image


def encode(source: Source, size: int = 48, quality: int = 75) -> bytes:
    """The thumbnail as WebP, near 1 kB for a drawing of 48 pixels.

    Thumbnails of files are kept on disk, in ``thumbnails/`` of the cache, until the file changes.

    Raises:
        InputError: see ``thumbnail``.
    """
    kept = _place(source, size, quality) if isinstance(source, Path) else None
    with suppress(OSError):
        if kept is not None and _whole(found := kept.read_bytes()):
            return found
    buffer = io.BytesIO()
    thumbnail(source, size).save(buffer, "WEBP", quality=quality, method=4)
    if kept is not None:
        with suppress(InputError), replacing(kept) as partial:  # a full disk costs time, not the image
            partial.write_bytes(buffer.getvalue())
    return buffer.getvalue()


def encode_all(sources: Sequence[Source], size: int = 48, quality: int = 75) -> list[bytes]:
    """``encode`` for many, in threads; an image that cannot be shown is empty."""

    def one(source: Source) -> bytes:
        with suppress(InputError):
            return encode(source, size, quality)
        return b""

    with ThreadPoolExecutor() as pool:
        return list(pool.map(one, sources))


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
            draw.text((8, y), printable(headings[r]), fill=INK, font=bold)
        for c, tile in enumerate(row):
            x, top = 8 + c * pitch_x, y + above + 2
            image = thumbnail(tile.image, size)
            sheet.paste(image, (x + (size - image.width) // 2, top + (size - image.height) // 2))
            draw.text(
                (x, top + size + 4), _fit(printable(tile.caption), small, size + 6), fill=INK, font=small
            )
            if tile.right is not None:
                _mark(draw, x, top, size, tile.right)
    return sheet


def paletted(sheet: Image.Image, colours: int = 256) -> Image.Image:
    """An image in few colours: as PNG a third of the full one's size."""
    return sheet.quantize(colours, dither=Image.Dither.NONE)


def png(sheet: Image.Image, colours: int = 256) -> bytes:
    """An image as PNG of few colours."""
    buffer = io.BytesIO()
    paletted(sheet, colours).save(buffer, "PNG", optimize=True)
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


def _whole(image: bytes) -> bool:
    """Whether a WebP file is as long as it says."""
    return (
        image[:4] == b"RIFF"
        and image[8:12] == b"WEBP"
        and int.from_bytes(image[4:8], "little") + 8 == len(image)
    )


def _place(path: Path, size: int, quality: int) -> Path | None:
    """Where the thumbnail of a file is kept; ``None`` where there is no such file."""
    try:
        facts = path.stat()
    except (OSError, ValueError):
        return None
    text = f"{VERSION} {size} {quality} {facts.st_size} {facts.st_mtime_ns} {path.absolute()}"
    key = hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
    return cache_home() / "thumbnails" / key[:2] / f"{key}.webp"
