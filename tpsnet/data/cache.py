"""The decoded-pixel cache: each image is decoded and resized once, then memory-mapped.

``KEY.npy`` holds the pixels of the kept images. ``KEY.json`` names the skipped ones and carries the pixels'
CRC-32; it gets its name last, so a killed build never counts.
"""

import hashlib
import json
import logging
import os
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from torchvision.transforms.functional import InterpolationMode, center_crop, resize
from tqdm import tqdm

from tpsnet.errors import InputError
from tpsnet.io import read_json, replacing
from tpsnet.types import Domain, Images

DECODE_VERSION = 1  # raise it when _decode gives other pixels: old cache files are then passed over
SMALLEST_SIDE = 8  # px; a smaller image shows nothing
LONGEST_STRIP = 100  # longer to shorter side; resizing by the shorter one makes such an image huge
ABANDONED = 3600  # s; a live build writes many times a minute
MEND_CACHE = "free some space or set TPSNET_CACHE to another folder"

log = logging.getLogger("tpsnet")


def cache_home() -> Path:
    """Where caches live: ``$TPSNET_CACHE``, or ``~/.cache/tpsnet``."""
    chosen = os.environ.get("TPSNET_CACHE")
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "tpsnet"


def load_images(domain: Domain, size: int) -> tuple[Domain, Images]:
    """Decode a domain's images to ``size``² RGB, or map them from the cache.

    An image is turned as its EXIF says, laid over white paper, its shorter side brought to
    ``size`` (bicubic, antialiased) and its central square cut out, as open_clip prepares images. One
    that cannot be read, has a side under 8 px or one over 100 times the other is named in a warning and left
    out of both results, which so stay aligned. The cache is keyed by the bytes of the images, their order
    and ``size``: what was edited, added or moved is decoded anew, never mistaken.

    Args:
        domain: The images to read.
        size: Side of the result, in px.

    Returns:
        The domain and the pixels of its readable images. The pixels are mapped copy-on-write:
        changing them does not reach the cache.

    Raises:
        InputError: A class of this domain has no readable image, a file changes while it is read, or the
            cache cannot be written.
    """
    digests = _digests(domain)
    key = hashlib.blake2b(b"%d %d " % (DECODE_VERSION, size) + b"".join(digests), digest_size=16)
    file = cache_home() / "pixels" / f"{key.hexdigest()}.npy"
    cached = _read(file, len(domain), size)
    if cached is None:
        _build(file, domain, digests, size)
        cached = _read(file, len(domain), size)
        if cached is None:
            raise InputError(f"{file}: what was just written does not read back; check the disk")
    pixels, skipped = cached
    for index, reason in skipped.items():
        log.warning("skipped %s: %s", domain.paths[index], reason)
    if not skipped:
        return domain, Images(domain.name, pixels)
    log.warning("domain %s: %d of %d images skipped", domain.name, len(skipped), len(domain))
    return _without(domain, skipped), Images(domain.name, pixels)


def _without(domain: Domain, skipped: dict[int, str]) -> Domain:
    """The readable images of a domain; each of its classes must keep one."""
    kept = domain.subset([i for i in range(len(domain)) if i not in skipped])
    lost = set(domain.labels.tolist()) - set(kept.labels.tolist())
    if lost:
        label = min(lost)
        first = domain.labels.tolist().index(label)
        several = len(domain.class_names) > 1
        where = f"{domain.name}/{domain.class_names[label]}" if several else domain.name
        raise InputError(
            f"{where}: no readable image left (such as {domain.paths[first]}: {skipped[first]}); "
            "mend the files or leave them out"
        )
    return kept


def _digests(domain: Domain) -> list[bytes]:
    """A hash of each image's bytes; reading them all costs little beside decoding them."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda path: _digest(_content(path)), domain.paths))


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # an unreadable file is skipped like an empty one
        return b""


def _read(file: Path, n: int, size: int) -> tuple[Tensor, dict[int, str]] | None:
    """The mapped pixels and the reasons by skipped position; ``None`` if they are absent or damaged."""
    try:
        facts = read_json(file.with_suffix(".json"))
        skipped = {int(index): reason for index, reason in facts["skipped"].items()}
        pixels = np.lib.format.open_memmap(file, mode="c")
        whole = pixels.dtype == np.uint8 and pixels.shape == (n - len(skipped), 3, size, size)
        if not whole or zlib.crc32(pixels) != facts["crc"]:
            return None
    except Exception:  # a damaged file provokes any kind of error
        return None
    return torch.from_numpy(pixels), skipped


def _build(file: Path, domain: Domain, digests: list[bytes], size: int) -> None:
    """Decode every image into ``file`` and its JSON, which appear whole or not at all."""
    skipped, crc = {}, 0
    facts = file.with_suffix(".json")
    with replacing(facts, MEND_CACHE) as partial_facts, replacing(file, MEND_CACHE) as partial:
        _sweep(file.parent)
        # Written in order: through a memory map, a full disk would kill the process.
        with partial.open("wb") as stream:
            _write_header(stream, len(domain), size)
            for index, pixels in enumerate(_decoded(domain, digests, size)):
                if isinstance(pixels, str):
                    skipped[index] = pixels
                else:
                    stream.write(pixels)
                    crc = zlib.crc32(pixels, crc)
            stream.seek(0)
            _write_header(stream, len(domain) - len(skipped), size)
        partial_facts.write_text(json.dumps({"skipped": skipped, "crc": crc}), encoding="utf-8")


def _write_header(stream: BinaryIO, n: int, size: int) -> None:
    """The header of a ``.npy`` file, of one length for every ``n``."""
    header = {"descr": "|u1", "fortran_order": False, "shape": (n, 3, size, size)}
    np.lib.format.write_array_header_1_0(stream, header)


def _sweep(folder: Path) -> None:
    """Remove what killed builds have left."""
    for partial in folder.glob("*.partial"):
        with suppress(OSError):  # another process may sweep too
            if time.time() - partial.stat().st_mtime > ABANDONED:
                partial.unlink()


def _decoded(domain: Domain, digests: list[bytes], size: int) -> Iterator[np.ndarray | str]:
    """The images in order, decoded in threads (PIL frees the interpreter), some hundred in memory."""
    hidden = None if len(domain) > 2000 else True  # None: hidden unless in a terminal
    with ThreadPoolExecutor() as pool, tqdm(total=len(domain), desc=domain.name, disable=hidden) as progress:
        for start in range(0, len(domain), 256):
            some = slice(start, start + 256)
            for pixels in pool.map(_decode, domain.paths[some], digests[some], [size] * 256):
                yield pixels
                progress.update()


def _decode(path: Path, digest: bytes, size: int) -> np.ndarray | str:
    """An image as contiguous uint8 ``[3, size, size]``, or the reason why there is none."""
    content = _content(path)
    if _digest(content) != digest:  # else its pixels would be kept under the key of others
        raise InputError(f"{path}: the file changed while it was read; try again when nothing writes there")
    if not content:
        return "empty or unreadable file"
    try:
        with Image.open(BytesIO(content)) as image:
            width, height = image.size
            if min(width, height) < SMALLEST_SIDE:
                return f"{width}×{height} px, a side is shorter than {SMALLEST_SIDE}"
            if max(width, height) > LONGEST_STRIP * min(width, height):
                return f"{width}×{height} px, one side is over {LONGEST_STRIP} times the other"
            upright = ImageOps.exif_transpose(image)
        # torchvision rounds sides and margins as open_clip's own preprocessing does
        square = center_crop(resize(_on_white(upright), size, InterpolationMode.BICUBIC), [size, size])
    except UnidentifiedImageError:
        return "not an image, or broken at its start"
    except Exception as error:  # PIL's decoders raise whatever a broken file provokes
        return " ".join(f"{error}".split()) or type(error).__name__
    return np.ascontiguousarray(np.asarray(square).transpose(2, 0, 1))


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):  # PIL would clip 16-bit grey to 8 bits instead of scaling it
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    paper = Image.new("RGBA", image.size, "white")
    paper.alpha_composite(image.convert("RGBA"))
    return paper.convert("RGB")
