"""The pictures that come with the package, as an ordinary folder of domains."""

import hashlib
import shutil
from collections.abc import Sequence
from importlib import resources
from io import BytesIO
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from tpsnet.data.cache import cache_home, cannot_write, partial_name
from tpsnet.types import InputError


def embedded_root(further: bool = False) -> Path:
    """The folder ``domain/class/*.webp`` of the embedded drawings, unpacked once into the cache.

    The folder's name carries the archives' hash, so that another version of the package gets its
    own. It appears whole or not at all, whoever else unpacks at the same moment.

    Args:
        further: lay the further objects, which zero-shot methods train on, beside those of the benchmark.

    Raises:
        InputError: an archive is missing or damaged, or the cache cannot be written.
    """
    names = ("emoji.zip", "further.zip") if further else ("emoji.zip",)
    contents = [_asset(name) for name in names]
    digest = hashlib.blake2b(b"".join(contents)).hexdigest()[:12]
    root = cache_home() / f"{'zero-shot' if further else 'emoji'}-{digest}"
    if not root.is_dir():
        _unpack(contents, root)
    return root


def embedded_unseen() -> tuple[str, ...]:
    """Names of the 25 objects of the benchmark that the embedded zero-shot split leaves unseen."""
    return tuple(_asset("unseen.txt").decode().split())


def _asset(name: str) -> bytes:
    file = resources.files("tpsnet") / "assets" / name
    try:
        return file.read_bytes()
    except OSError:
        raise InputError(f"{file}: the embedded pictures are missing; reinstall the package") from None


def _unpack(contents: Sequence[bytes], root: Path) -> None:
    partial = partial_name(root)
    try:
        for content in contents:
            with ZipFile(BytesIO(content)) as archive:
                partial.mkdir(parents=True, exist_ok=True)
                archive.extractall(partial)  # drops "..", drives and leading slashes from names
        partial.rename(root)
    except BadZipFile as error:
        raise InputError(f"the embedded pictures are damaged ({error}); reinstall the package") from None
    except OSError as error:
        if not root.is_dir():  # else another process was faster
            raise cannot_write(root, error) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
