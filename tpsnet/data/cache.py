"""The decoded-pixel cache: each picture is decoded and resized once, then memory-mapped.

A cache file holds the kept pictures' pixels (uint8, one after the other), then a JSON footer that
names the skipped pictures and carries the pixels' CRC-32, then the footer's length. The footer is
written last and the file gets its name after that, so a killed build never counts.
"""

import hashlib
import json
import logging
import os
import time
import uuid
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from torchvision.transforms.functional import InterpolationMode, center_crop, resize
from tqdm import tqdm

from tpsnet.types import Domain, Images, InputError

DECODE_VERSION = 1  # raise it when _decode gives other pixels: old cache files are then passed over
SMALLEST_SIDE = 8  # px; a smaller picture shows nothing
LONGEST_STRIP = 100  # longer to shorter side; resizing by the shorter one makes such a picture huge
ABANDONED = 3600  # s; a live build writes many times a minute

log = logging.getLogger("tpsnet")


def cache_home() -> Path:
    """Where caches live: ``$TPSNET_CACHE``, or ``~/.cache/tpsnet``."""
    chosen = os.environ.get("TPSNET_CACHE")
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "tpsnet"


def load_images(domain: Domain, size: int) -> tuple[Domain, Images]:
    """Decode a domain's pictures to ``size``² RGB, or map them from the cache.

    A picture is turned as its EXIF says, laid over white paper, its shorter side brought to
    ``size`` (bicubic, antialiased) and its central square cut out, as open_clip prepares pictures. One
    that cannot be read, has a side under 8 px or one over 100 times the other is named in a warning and left
    out of both results, which so stay aligned. The cache is keyed by the bytes of the pictures, their order
    and ``size``: what was edited, added or moved is decoded anew, never mistaken.

    Args:
        domain: the pictures to read.
        size: side of the result, in px.

    Returns:
        The domain and the pixels of its readable pictures. The pixels are mapped copy-on-write:
        changing them does not reach the cache.

    Raises:
        InputError: a class of this domain has no readable picture, or the cache cannot be written.
    """
    digests = _digests(domain)
    key = hashlib.blake2b(b"%d %d " % (DECODE_VERSION, size) + b"".join(digests), digest_size=16)
    file = cache_home() / "pixels" / f"{key.hexdigest()}.rgb"
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
    log.warning("domain %s: %d of %d pictures skipped", domain.name, len(skipped), len(domain))
    kept = domain.subset([i for i in range(len(domain)) if i not in skipped])
    lost = set(domain.labels.tolist()) - set(kept.labels.tolist())
    if lost:
        name = domain.class_names[min(lost)]
        raise InputError(
            f"{domain.name}/{name}: no readable picture left; mend the files or remove the folder"
        )
    return kept, Images(domain.name, pixels)


def partial_name(path: Path) -> Path:
    """A name beside ``path`` that no other process uses, for writing before ``os.replace``."""
    return path.with_name(f"{path.name}.{uuid.uuid4().hex[:12]}.partial")


def cannot_write(path: Path, error: OSError) -> InputError:
    """One line for a full disk or a cache that may not be written."""
    return InputError(
        f"{path}: cannot write the cache ({error.strerror or error}); "
        "free some space or set TPSNET_CACHE to another folder"
    )


def _digests(domain: Domain) -> list[bytes]:
    """A hash of each picture's bytes; reading them all costs little beside decoding them."""
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
    """The mapped pixels and the reasons by skipped position; ``None`` if the file is absent or damaged."""
    try:
        with file.open("rb") as stream:
            stream.seek(-8, os.SEEK_END)
            length = int.from_bytes(stream.read(8), "little")
            start = stream.seek(-8 - length, os.SEEK_END)
            footer = json.loads(stream.read(length))
        skipped = {int(index): reason for index, reason in footer["skipped"].items()}
        if start != (n - len(skipped)) * 3 * size * size:
            return None
        # An empty file cannot be mapped; load_images then finds a class without pictures.
        flat = torch.from_file(str(file), size=start, dtype=torch.uint8) if start else torch.empty(0).byte()
        if zlib.crc32(flat.numpy()) != footer["crc"]:
            return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return None
    return flat.view(-1, 3, size, size), skipped


def _build(file: Path, domain: Domain, digests: list[bytes], size: int) -> None:
    """Decode every picture into ``file``, which appears whole or not at all."""
    partial = partial_name(file)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        _sweep(file.parent)
        with partial.open("wb") as stream:
            skipped, crc = {}, 0
            for index, pixels in enumerate(_decoded(domain, digests, size)):
                if isinstance(pixels, str):
                    skipped[index] = pixels
                else:
                    stream.write(pixels)
                    crc = zlib.crc32(pixels, crc)
            footer = json.dumps({"skipped": skipped, "crc": crc}).encode()
            stream.write(footer + len(footer).to_bytes(8, "little"))
        partial.replace(file)
    except OSError as error:
        raise cannot_write(file, error) from None
    finally:
        with suppress(OSError):
            partial.unlink()


def _sweep(folder: Path) -> None:
    """Remove what killed builds have left."""
    for partial in folder.glob("*.partial"):
        with suppress(OSError):  # another process may sweep too
            if time.time() - partial.stat().st_mtime > ABANDONED:
                partial.unlink()


def _decoded(domain: Domain, digests: list[bytes], size: int) -> Iterator[np.ndarray | str]:
    """The pictures in order, decoded in threads (PIL frees the interpreter), some hundred in memory."""
    hidden = None if len(domain) > 2000 else True  # None: hidden unless in a terminal
    with ThreadPoolExecutor() as pool, tqdm(total=len(domain), desc=domain.name, disable=hidden) as progress:
        for start in range(0, len(domain), 256):
            some = slice(start, start + 256)
            for pixels in pool.map(_decode, domain.paths[some], digests[some], [size] * 256):
                yield pixels
                progress.update()


def _decode(path: Path, digest: bytes, size: int) -> np.ndarray | str:
    """A picture as contiguous uint8 ``[3, size, size]``, or the reason why there is none."""
    content = _content(path)
    if _digest(content) != digest:  # else its pixels would be kept under the key of others
        raise InputError(f"{path}: the file changed while it was read; try again when nothing writes there")
    if not content:
        return "empty or unreadable file"
    try:
        with Image.open(BytesIO(content)) as picture:
            width, height = picture.size
            if min(width, height) < SMALLEST_SIDE:
                return f"{width}×{height} px, a side is shorter than {SMALLEST_SIDE}"
            if max(width, height) > LONGEST_STRIP * min(width, height):
                return f"{width}×{height} px, one side is over {LONGEST_STRIP} times the other"
            upright = ImageOps.exif_transpose(picture)
        # torchvision rounds sides and margins as open_clip's own preprocessing does
        square = center_crop(resize(_on_white(upright), size, InterpolationMode.BICUBIC), [size, size])
    except UnidentifiedImageError:
        return "not a picture, or broken at its start"
    except Exception as error:  # PIL's decoders raise whatever a broken file provokes
        return " ".join(f"{error}".split()) or type(error).__name__
    return np.ascontiguousarray(np.asarray(square).transpose(2, 0, 1))


def _on_white(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I;16"):  # PIL would clip 16-bit grey to 8 bits instead of scaling it
        return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8)).convert("RGB")
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    paper = Image.new("RGBA", picture.size, "white")
    paper.alpha_composite(picture.convert("RGBA"))
    return paper.convert("RGB")
