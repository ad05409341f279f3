"""The picture set that comes with the package, as an ordinary folder of domains."""

import hashlib
import shutil
from importlib import resources
from io import BytesIO
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from tpsnet.data.cache import cache_home, cannot_write, partial_name
from tpsnet.types import InputError


def embedded_root() -> Path:
    """The folder ``domain/class/*.webp`` of the embedded drawings, unpacked once into the cache.

    The folder's name carries the archive's hash, so that another version of the package gets its
    own. It appears whole or not at all, whoever else unpacks at the same moment.

    Raises:
        InputError: the archive is missing or damaged, or the cache cannot be written.
    """
    archive = resources.files("tpsnet") / "assets" / "emoji.zip"
    try:
        content = archive.read_bytes()
    except OSError:
        raise InputError(f"{archive}: the embedded pictures are missing; reinstall the package") from None
    root = cache_home() / f"emoji-{hashlib.blake2b(content).hexdigest()[:12]}"
    if not root.is_dir():
        _unpack(content, root)
    return root


def _unpack(content: bytes, root: Path) -> None:
    partial = partial_name(root)
    try:
        with ZipFile(BytesIO(content)) as archive:
            partial.mkdir(parents=True)
            archive.extractall(partial)  # drops "..", drives and leading slashes from names
        partial.rename(root)
    except BadZipFile as error:
        raise InputError(f"the embedded pictures are damaged ({error}); reinstall the package") from None
    except OSError as error:
        if not root.is_dir():  # else another process was faster
            raise cannot_write(root, error) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
