"""Addresses of galleries: one string names the engine, the place and the options.

=========================================  ==============================================================
address                                    engine
=========================================  ==============================================================
``memory``                                 exact, in memory
``faiss:FILE``                             a faiss index on disk: ``?index=ivf&lists=1024&probes=16``
``milvus:FILE.db``                         Milvus Lite, a folder on disk: ``?index=ivf`` or ``hnsw``
``http://HOST:PORT``, ``https://…``        a Milvus server or cluster: ``?collection=NAME`` and as above
=========================================  ==============================================================
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from tpsnet.errors import InputError
from tpsnet.galleries.base import Gallery
from tpsnet.galleries.memory import MemoryGallery

ENGINES = "memory, faiss:FILE, milvus:FILE.db or http://HOST:PORT"


def open_gallery(address: str) -> Gallery:
    """The gallery at an address; there may be nothing yet.

    Args:
        address: One of those above.

    Raises:
        InputError: no engine has such an address, an option is unknown or does not fit what is there, the
            package of the engine is not installed, the file is no gallery, or the server does not answer.
    """
    if address == "memory":
        return MemoryGallery()
    place, _, options = address.partition("?")
    engine, _, rest = place.partition(":")
    if engine == "faiss" and rest:
        return _faiss(address, rest, options)
    if engine == "milvus" and rest.endswith(".db"):
        return _milvus(address, rest, options)
    if engine in ("http", "https") and rest.strip("/"):
        if "@" in rest:
            raise InputError("an address holds no password; set TPSNET_MILVUS_TOKEN to USER:PASSWORD instead")
        return _milvus(address, place.rstrip("/"), options)
    raise InputError(f"{address!r} is no address of a gallery; choose {ENGINES}")


def _faiss(address: str, file: str, options: str) -> Gallery:
    from tpsnet.galleries.faiss_file import FaissGallery, FaissOptions

    return FaissGallery(address, file, _options(FaissOptions, address, options))


def _milvus(address: str, place: str, options: str) -> Gallery:
    from tpsnet.galleries.milvus import MilvusGallery, MilvusOptions

    return MilvusGallery(address, place, _options(MilvusOptions, address, options))


def _options(kind: Callable[..., Any], address: str, text: str) -> Any:
    """The options behind the ``?`` of an address."""
    try:
        given = dict(parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text)))
    except ValueError:
        raise InputError(f"{address!r}: options are written as ?name=value&name=value") from None
    known = list(kind.__dataclass_fields__)
    if unknown := sorted(set(given) - set(known)):
        raise InputError(f"{address!r} has no option {unknown[0]!r}; there are {', '.join(known)}")
    try:
        return kind(**{name: _value(text) for name, text in given.items()})
    except InputError as error:
        raise InputError(f"{address!r}: {error}") from None


def _value(text: str) -> str | int:
    return int(text) if text.isdecimal() and len(text) < 19 else text
