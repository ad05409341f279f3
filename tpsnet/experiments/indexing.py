"""Fill a gallery: the embeddings of a trained run, and folders of new images, a few hundred at a time."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain
from pathlib import Path

from tpsnet.data import decoded_images, label, unlabelled_folder
from tpsnet.errors import InputError
from tpsnet.experiments.search import domain_names, load_known, records_of
from tpsnet.galleries import Gallery, Part, Record, open_gallery
from tpsnet.methods import Method
from tpsnet.paths import user_path
from tpsnet.progress import Progress
from tpsnet.training import fingerprint, load_trained
from tpsnet.types import UNLABELLED, Domain

CHUNK = 256  # images decoded and embedded at once
ROWS = 4096  # embeddings of the run added at once


@dataclass(frozen=True)
class Indexed:
    """What came of filling a gallery.

    Attributes:
        added: Number of images that were added; the others were there before.
        described: The gallery's engine and size.
    """

    added: int
    described: str


def index(
    run: Path,
    folders: Sequence[Path] = (),
    *,
    gallery: str,
    domain: str | None = None,
    device: str = "cpu",
) -> Indexed:
    """Add a run's embeddings and every image below some folders to a gallery, each image once, by its path.

    Images are decoded and embedded ``CHUNK`` at a time, so that memory does not grow with their number; no
    cache is written. An image that cannot be read is named in a warning and left out. The class of a new
    image is the folder below the named one that it lies in. All images are there at the end, or none.

    Args:
        run: The run folder.
        folders: Folders of new images; sub-folders are searched too.
        gallery: Address of the gallery, see ``galleries.open_gallery``.
        domain: Which trained domain the new images belong to; by default the one that each folder is named
            after.
        device: Where to compute.

    Raises:
        InputError: a folder holds no image or belongs to no trained domain; the gallery is of another model
            or cannot be written; see ``load_trained`` and ``open_gallery``.
    """
    if gallery == "memory":
        raise InputError(
            "memory ends with the command; index into faiss:FILE, milvus:FILE.db or http://HOST:PORT"
        )
    method = load_trained(run, device)
    names = domain_names(run)
    named = [_named(method, user_path(folder), domain, names) for folder in folders]
    with open_gallery(gallery) as opened:
        opened.check_model(fingerprint(method))
        parts = chain(_known_parts(run), _new_parts(method, named, opened))
        return Indexed(opened.add(parts, fingerprint(method)), opened.described)


def _named(
    method: Method, folder: Path, domain: str | None, named: Callable[[str], str]
) -> tuple[Path, Domain]:
    """A folder, and its images as a domain of the method."""
    found = unlabelled_folder(folder)
    name = named(domain or found.name)
    method.domain_index(name)
    return Path(os.path.realpath(folder)), replace(found, name=name)


def _known_parts(run: Path) -> Iterator[Part]:
    """What the training has embedded."""
    for part in load_known(run).values():
        records = [replace(record, path=_place(Path(record.path))) for record in records_of(part)]
        for start in range(0, len(part), ROWS):
            yield part.vectors[start : start + ROWS], records[start : start + ROWS]


def _new_parts(method: Method, named: list[tuple[Path, Domain]], gallery: Gallery) -> Iterator[Part]:
    """The images below some folders that the gallery does not hold, embedded some at a time."""
    with Progress({str(root): -(-len(found) // CHUNK) for root, found in named}, "indexing") as progress:
        for root, found in named:
            for start in range(0, len(found), CHUNK):
                places = [_place(path) for path in found.paths[start : start + CHUNK]]
                held = gallery.known(places)
                new = [start + i for i, place in enumerate(places) if place not in held]
                kept, images = decoded_images(found.subset(new), method.given.resize)
                if len(kept):
                    yield method.embed(images, found.name), [_record(root, kept, path) for path in kept.paths]
                progress.step()


def _record(root: Path, found: Domain, path: Path) -> Record:
    below = path.relative_to(root).parts
    return Record(found.name, label(below[0]) if len(below) > 1 else UNLABELLED[0], _place(path))


def _place(path: Path) -> str:
    """One name of a file, whatever links lead to its folder."""
    return str(_folder(path.parent) / path.name)


@cache
def _folder(path: Path) -> Path:
    return Path(os.path.realpath(path))
