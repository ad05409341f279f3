"""The decoded-pixel cache: each image is decoded and resized once, then read by batch.

What an image's bytes are tells ``digests``, without reading them where size and times are those of before.
How pixels lie on disk, and how a killed build goes on, is in ``blocks``.
"""

import hashlib
import logging
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import UnidentifiedImageError

from tpsnet.data.blocks import Entry, Older, Pixels
from tpsnet.data.decode import decoded, resized
from tpsnet.data.digests import Record
from tpsnet.data.home import check_room, pixels_home
from tpsnet.data.leftovers import LeftBehind
from tpsnet.data.reading import content, counted, digest, in_threads, passing
from tpsnet.errors import InputError
from tpsnet.escape import printable
from tpsnet.io import RowFile
from tpsnet.types import Domain, Images, Resize

DECODE_VERSION = 2  # raise it when decoding gives other pixels: old cache files are then passed over
SMALLEST_SIDE = 8  # px; a smaller image shows nothing
LONGEST_STRIP = 100  # longer to shorter side; resizing by the shorter one makes such an image huge

log = logging.getLogger("tpsnet")


def load_images(domain: Domain, size: int | Resize, *, check: bool = False) -> tuple[Domain, Images]:
    """Decode a domain's images to RGB of one size, or find them in the cache.

    An image is turned as its EXIF says, laid over white paper, and resized as open_clip does. One
    that cannot be read, has a side under 8 px or one over 100 times the other is named in a warning and left
    out of both results, which so stay aligned.

    The cache is keyed by the bytes of the images, their order and ``size``. Files whose size and times are
    those of before are not read for it, see ``digests``: what was edited, added or moved is noticed, what a
    disk has lost since is not. A build that was killed goes on after the last block of 256 images. What the
    last cache of the same folder holds is copied from it. Of two processes, one builds and one waits.

    Args:
        domain: The images to read.
        size: What the backbone asks for, its ``resize``; a number of px stands for the shorter side and the
            centre, bicubic.
        check: Whether to read the bytes of all files and all pixels of the cache again. What is not as
            recorded is named in a warning, and decoded anew.

    Returns:
        The domain and the pixels of its readable images, which are read from the cache by batch.

    Raises:
        InputError: A class of this domain has no readable image, a file changes while it is read or cannot be
            read for a reason that may pass (memory, a fault of the disk), the disk is too small (found before
            anything is decoded), or the cache cannot be written.
    """
    how = Resize(size) if isinstance(size, int) else size
    record = Record(domain)
    digests = record.digests(check)
    key = _key(digests, how)
    entry = _entry(key, digests, how)
    found = entry.read(check)
    if found is None:
        if check and entry.array.exists():
            log.warning("%s: its pixels are damaged; decoding anew", printable(entry.array))
        record.begin(key)
        found = _build(entry, domain, record.before(_way(how)) or key, how, check)
    record.use(_way(how), key)
    rows, skipped = found
    for index, reason in skipped.items():
        log.warning("skipped %s: %s", printable(domain.paths[index]), printable(reason))
    if not skipped:
        return domain, Images(domain.name, rows)
    log.warning("domain %s: %d of %d images skipped", printable(domain.name), len(skipped), len(domain))
    return _without(domain, skipped), Images(domain.name, rows)


def disk_need(domain: Domain, size: int | Resize) -> int:
    """Bytes that ``load_images`` will write; files of which no hash is recorded are read for it.

    Raises:
        InputError: A file cannot be read for a reason that may pass.
    """
    how = Resize(size) if isinstance(size, int) else size
    digests = Record(domain).digests()
    entry = _entry(_key(digests, how), digests, how)
    return 0 if entry.read() else entry.missing


def left_behind(domains: Iterable[Domain], size: int | Resize) -> LeftBehind:
    """What lies in the cache beside the entries that ``load_images`` has given last of these domains.

    Args:
        domains: The domains, in the way in which they were loaded.
        size: As ``load_images`` was asked for.
    """
    way = _way(Resize(size) if isinstance(size, int) else size)
    return LeftBehind([Record(domain) for domain in domains], way)


def _way(how: Resize) -> str:
    return f"{DECODE_VERSION} {how}"


def _key(digests: list[bytes], how: Resize) -> str:
    return hashlib.blake2b(f"{_way(how)} ".encode() + b"".join(digests), digest_size=16).hexdigest()


def _entry(key: str, digests: list[bytes], how: Resize) -> Entry:
    return Entry(pixels_home(), key, digests, (3, *how.sides))


def decoded_images(domain: Domain, how: Resize) -> tuple[Domain, Images]:
    """What ``load_images`` returns, for one use: in memory, and nothing is written to the cache.

    Raises:
        InputError: A file cannot be read for a reason that may pass.
    """
    kept, pixels = [], [np.zeros((0, 3, *how.sides), dtype=np.uint8)]
    for index, found in enumerate(in_threads(lambda path: _pixels(path, content(path), how), domain.paths)):
        if isinstance(found, str):
            log.warning("skipped %s: %s", printable(domain.paths[index]), printable(found))
        else:
            kept.append(index)
            pixels.append(found[None])
    return domain.subset(kept), Images(domain.name, torch.from_numpy(np.concatenate(pixels)))


def decoded_image(path: Path, how: Resize) -> Images:
    """One image by itself, as ``load_images`` decodes it; nothing is written to the cache.

    Raises:
        InputError: It cannot be read as an image.
    """
    found = _pixels(path, content(path), how)
    if isinstance(found, str):
        raise InputError(f"{path}: {found}; give another image")
    return Images(path.name, torch.from_numpy(found[None]))


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


def _build(
    entry: Entry, domain: Domain, before: str, how: Resize, check: bool
) -> tuple[RowFile, dict[int, str]]:
    """Decode what is missing, and is not in the entry of before either."""
    check_room(f"domain {domain.name}", entry.missing)
    with entry.claimed(domain.name):
        if (found := entry.read(check)) is None:  # else another process was faster
            start = entry.begun()
            older = Older(entry.array.parent, before, entry.shape)
            entry.build(start, _decoded(domain, entry.digests, start, how, older))
            found = entry.read()
    if found is None:
        raise InputError(f"{entry.array}: what was just written does not read back; check the disk")
    return found


def _decoded(domain: Domain, digests: list[bytes], start: int, how: Resize, older: Older) -> Iterator[Pixels]:
    """The images from a position on, in order."""

    def one(path: Path, digest: bytes) -> Pixels:
        pixels = older.get(digest)
        return _decode(path, digest, how) if pixels is None else pixels

    given = domain.paths[start:], digests[start:]
    with counted(len(domain), f"{domain.name}: decoding", done=start) as step:
        for pixels in in_threads(one, *given):
            yield pixels
            step()


def _decode(path: Path, expected: bytes, how: Resize) -> Pixels:
    """An image of which the hash is known."""
    found = content(path)
    if digest(found) != expected:  # else its pixels would be kept under the key of others
        raise InputError(f"{path}: the file changed while it was read; try again when nothing writes there")
    return _pixels(path, found, how)


def _pixels(path: Path, found: bytes, how: Resize) -> Pixels:
    """An image as contiguous uint8 ``[3, height, width]``, or the reason why there is none."""
    if not found:
        return "empty or unreadable file"
    try:
        with decoded(BytesIO(found)) as image:
            width, height = image.size
            if min(width, height) < SMALLEST_SIDE:
                return f"{width}×{height} px, a side is shorter than {SMALLEST_SIDE}"
            if max(width, height) > LONGEST_STRIP * min(width, height):
                return f"{width}×{height} px, one side is over {LONGEST_STRIP} times the other"
            pixels = resized(image, how)
    except UnidentifiedImageError:
        return "not an image, or broken at its start"
    except MemoryError as error:
        raise passing(path, f"{error}" or "not enough memory") from None
    except Exception as error:  # PIL's decoders raise whatever a broken file provokes
        if isinstance(error, OSError) and error.errno:  # of the system: a broken file has no number
            raise passing(path, error.strerror) from None
        return " ".join(f"{error}".split()) or type(error).__name__
    return pixels.numpy()
