"""The images that come with the package, as an ordinary folder of domains."""

import hashlib
from collections.abc import Sequence
from importlib import resources
from io import BytesIO
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from tpsnet.data.home import MEND_CACHE, cache_home
from tpsnet.errors import InputError
from tpsnet.io import replacing
from tpsnet.paths import sweep


def embedded_root(further: bool = False) -> Path:
    """The folder ``domain/class/*.webp`` of the embedded drawings, unpacked once into the cache.

    The folder's name carries the archives' hash, so that another version of the package gets its
    own. It appears whole or not at all, whoever else unpacks at the same moment.

    Args:
        further: Whether the further objects, which zero-shot methods train on, lie beside those of the
            benchmark.

    Raises:
        InputError: An archive is missing or damaged, or the cache cannot be written.
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
        raise InputError(f"{file}: the embedded images are missing; reinstall the package") from None


def _unpack(contents: Sequence[bytes], root: Path) -> None:
    sweep(root.parent)
    try:
        with replacing(root, MEND_CACHE) as partial:
            for content in contents:
                with ZipFile(BytesIO(content)) as archive:
                    archive.extractall(partial)  # drops "..", drives and leading slashes from names
    except BadZipFile as error:
        raise InputError(f"the embedded images are damaged ({error}); reinstall the package") from None
    except InputError:
        if not root.is_dir():  # else another process was faster
            raise
