"""Images without class folders, as domains of one class: for queries and galleries that nobody labelled."""

from pathlib import Path

import torch

from tpsnet.data.folder import IMAGE_SUFFIXES, entries
from tpsnet.errors import InputError
from tpsnet.types import Domain

CLASS = "unlabelled"


def unlabelled_folder(folder: str | Path) -> Domain:
    """Every image in a folder and in the folders below it, sorted by path.

    Hidden entries and files of other kinds are passed over.

    Returns:
        A domain with the folder's name, and label 0 of the class table ``("unlabelled",)`` for all images.

    Raises:
        InputError: The folder is missing or holds no image.
    """
    root = Path(folder).resolve()
    paths = sorted(_nested(root))
    if not paths:
        raise InputError(f"{root}: no image in this folder ({', '.join(IMAGE_SUFFIXES)}); choose another")
    return _unlabelled(root.name, paths)


def single_image(path: str | Path) -> Domain:
    """One image file as a domain of one, with the name of the folder that it lies in.

    Raises:
        InputError: There is no such file. Whether it can be read as an image is found by ``load_images``.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such image file; check the path")
    parent = path.parent.resolve()
    return _unlabelled(parent.name, [parent / path.name])


def _unlabelled(name: str, paths: list[Path]) -> Domain:
    return Domain(name, tuple(paths), torch.zeros(len(paths), dtype=torch.int64), (CLASS,))


def _nested(folder: Path) -> list[Path]:
    folders, images = entries(folder)
    return [folder / image for image in images] + [p for name in folders for p in _nested(folder / name)]
