"""The one decoder: an image file as upright 8-bit RGB on white paper, for models and for eyes alike."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from torchvision.transforms.functional import InterpolationMode, center_crop, pad, resize

from tpsnet.errors import InputError
from tpsnet.io import check_file
from tpsnet.types import Resize

IN_FLIGHT = 2**30  # bytes of decoded pixels over all threads; a larger image is decoded alone
# Pillow's memory comes in blocks; the C library gives back those above 32 MB, others stay with their thread.
Image.core.set_block_size(2**26)
Image.preinit()  # the common formats come first
Image.init()
# Left out: what needs another program (EPS runs Ghostscript), and what Pillow names but does not decode.
FORMATS = [f for f in Image.ID if f not in {"EPS", "BUFR", "GRIB", "HDF5", "IPTC", "MPEG", "WMF"}]
IMAGE_SUFFIXES = frozenset(s for s, f in Image.registered_extensions().items() if f in {*FORMATS, "MPO"})
# Memory is bounded here, so that what Pillow only warns of can be read; what is twice as large it refuses.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


class PixelBudget:
    """Bytes that threads may hold at the same time; they are served in the order in which they ask."""

    def __init__(self, total: int) -> None:
        self._total = self._free = total
        self._next, self._freed = threading.Lock(), threading.Condition()

    @contextmanager
    def opened(self, content: BytesIO, near: int | None) -> Iterator[Image.Image]:
        """Open an image once its pixels, which Pillow decodes later, fit beside those of others."""
        with self._next:  # some formats take memory when they are opened, so only the next in turn is
            image = _opened(content)
            if near is not None:
                image.draft(None, (near, near))
            cost = min(_cost(image), self._total)
            with self._freed:
                self._freed.wait_for(lambda: self._free >= cost)
                self._free -= cost
        try:
            with image:
                yield image
        finally:
            with self._freed:
                self._free += cost
                self._freed.notify()


BUDGET = PixelBudget(IN_FLIGHT)


@contextmanager
def decoded(file: Path | BytesIO, *, near: int | None = None) -> Iterator[Image.Image]:
    """The image as 8-bit RGB, turned as its EXIF says, laid over white paper.

    Of an animation or of several pages this is the first. Grey of 16 bits is scaled to 8 by its higher byte
    (Pillow itself would clip it). Grey of 32 bits, integers or floating-point numbers, is read by its largest
    value: up to 1 (floats alone) as shares of white, up to 255 as 8 bits, up to 65535 as 16 bits.

    While it is open, its pixels count towards ``IN_FLIGHT``, and others may wait: make it small inside.

    Args:
        file: A file, or its content.
        near: Side in px, where something of about this size will do: a JPEG is then decoded at the smallest
            of its own scales (1, 1/2, 1/4, 1/8) with no side below it, in a fraction of the time.

    Raises:
        InputError: There is no such file, or it is no regular one; it has too many pixels, or grey values of
            no known scale (this line does not name the file).
        MemoryError: There is not enough memory now, which says nothing about the file.
        OSError: The file cannot be read, or is no image. A broken file provokes other errors of Pillow's
            decoders too.
    """
    if isinstance(file, Path):
        check_file(file)
    content = file if isinstance(file, BytesIO) else BytesIO(file.read_bytes())
    try:
        with BUDGET.opened(content, near) as image:
            yield _upright(image)
    except Image.DecompressionBombError:
        most = 2 * Image.MAX_IMAGE_PIXELS // 10**6
        raise InputError(f"more than {most} million pixels; put a smaller copy in its place") from None


def decode(file: Path | BytesIO, *, near: int | None = None) -> Image.Image:
    """The image of ``decoded``, to keep."""
    with decoded(file, near=near) as image:
        return image


def resized(image: Image.Image, how: Resize) -> UInt8[Tensor, "3 height width"]:
    """An RGB image as large as a network takes it, to the bit as open_clip's own preprocessing makes it."""
    sides, kind = list(how.sides), InterpolationMode(how.interpolation)
    if how.mode == "squash":
        found = resize(image, sides, kind)
    elif how.mode == "longest":
        found = _padded(image, how, kind)
    elif isinstance(how.size, int):  # torchvision rounds sides and margins as open_clip does
        found = center_crop(resize(image, how.size, kind), sides)
    else:
        found = center_crop(_scaled(image, min(_ratios(image, how)), kind), sides)
    return torch.from_numpy(np.ascontiguousarray(np.asarray(found).transpose(2, 0, 1)))


def _ratios(image: Image.Image, how: Resize) -> tuple[float, float]:
    """How many times an image is as high, and as wide, as it shall be."""
    height, width = how.sides
    return image.height / height, image.width / width


def _scaled(image: Image.Image, ratio: float, kind: InterpolationMode) -> Image.Image:
    return resize(image, [max(1, round(side / ratio)) for side in (image.height, image.width)], kind)


def _padded(image: Image.Image, how: Resize, kind: InterpolationMode) -> Image.Image:
    """The whole image in the middle; an odd margin is wider on the right and below."""
    inner, (height, width) = _scaled(image, max(_ratios(image, how)), kind), how.sides
    left, above = (width - inner.width) // 2, (height - inner.height) // 2
    return pad(inner, [left, above, width - inner.width - left, height - inner.height - above], fill=how.fill)


def _opened(content: BytesIO) -> Image.Image:
    try:
        return Image.open(content, formats=FORMATS)
    except UnidentifiedImageError:
        raise
    except OSError:  # WebP calls a lack of memory so, and a broken file too
        if not _is_free(IN_FLIGHT):
            raise MemoryError("not enough memory to open the image") from None
        raise


def _cost(image: Image.Image) -> int:
    """Bytes that decoding takes at its peak: Pillow has 4 a pixel for RGB, twice while an image is turned."""
    each = {"1": 5, "L": 5, "P": 8, "RGB": 8, "CMYK": 8, "YCbCr": 8}.get(image.mode, 16)
    return image.width * image.height * each


def _upright(image: Image.Image) -> Image.Image:
    """The decoded image, turned and on white.

    Decoders call a lack of memory many names, down to "broken data", so that after a fault it is tried.
    """
    size, cost = image.size, _cost(image)
    try:
        ImageOps.exif_transpose(image, in_place=True)
        return _on_white(image)
    except InputError:
        raise
    except Exception as error:
        if isinstance(error, MemoryError) or "out of memory" in str(error) or not _is_free(2 * cost):
            raise MemoryError(f"not enough memory for {size[0]}×{size[1]} pixels") from None
        raise


def _is_free(size: int) -> bool:
    try:
        np.empty(size, np.uint8)
    except MemoryError:
        return False
    return True


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        return Image.fromarray(_eight_bits(image)).convert("RGB")
    if not image.has_transparency_data:
        image.load()
        return image if image.mode == "RGB" else image.convert("RGB")
    if image.mode == "La":  # premultiplied grey has no way to RGBA
        image = image.convert("LA")
    paper = Image.new("RGBA", image.size, "white")
    paper.alpha_composite(image.convert("RGBA"))
    return paper.convert("RGB")


def _eight_bits(image: Image.Image) -> UInt8[np.ndarray, "height width"]:
    """Grey of 16 or 32 bits in 8."""
    deep = np.asarray(image)
    if image.mode.startswith("I;"):
        return (deep >> 8).astype(np.uint8)
    low, high = deep.min(), deep.max()
    if not (low >= 0 and high <= 65535):  # NaN fails too
        raise InputError(f"grey values from {low:.4g} to {high:.4g}; store it with 8 or 16 bits")
    if high > 255:
        return (deep // 256).astype(np.uint8)
    share = image.mode == "F" and high <= 1
    return np.rint(deep * 255 if share else deep).astype(np.uint8)
