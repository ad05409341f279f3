"""Galleries that grow: vectors with domain, class and path, searched by the engine that an address names."""

from tpsnet.galleries.address import ENGINES, open_gallery
from tpsnet.galleries.base import Gallery, Part, Record, Where

__all__ = ["ENGINES", "Gallery", "Part", "Record", "Where", "open_gallery"]
