"""Images without class folders, as domains of one class: for queries and galleries that nobody labelled."""

import os
from pathlib import Path

import torch

from tpsnet.data.spelling import label
from tpsnet.data.walk import READ_FORMATS, PassedOver, images_below, listing
from tpsnet.errors import InputError
from tpsnet.paths import user_path
from tpsnet.types import UNLABELLED, Domain


def unlabelled_folder(folder: str | Path) -> Domain:
    """Every image in a folder and in the folders below it, sorted by path.

    Each folder is read once, whatever links lead to it. What is passed over is logged as in ``image_folder``.

    Returns:
        A domain with the folder's name, and label 0 of the class table ``("unlabelled",)`` for all images.

    Raises:
        InputError: The folder is missing or holds no image.
    """
    folder = user_path(folder)
    listing(folder)  # what cannot be listed has no images to pass over
    root, passed = Path(os.path.realpath(folder)), PassedOver()
    paths = images_below(root, passed)
    passed.warn()
    if not paths:
        raise InputError(f"{root}: no image in this folder ({READ_FORMATS}); choose another")
    return _unlabelled(root.name, paths)


def single_image(path: str | Path) -> Domain:
    """One image file as a domain of one, with the name of the folder that it lies in.

    Raises:
        InputError: There is no such file. Whether it can be read as an image is found by ``load_images``.
    """
    path = user_path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder; give one image file")
    if not path.is_file():
        raise InputError(f"{path}: no such image file; check the path")
    parent = Path(os.path.realpath(path.parent))
    return _unlabelled(parent.name, [parent / path.name])


def _unlabelled(name: str, paths: list[Path]) -> Domain:
    return Domain(label(name), tuple(paths), torch.zeros(len(paths), dtype=torch.int64), UNLABELLED)
