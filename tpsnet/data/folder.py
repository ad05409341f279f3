"""Folders of images, ``root/domain/class/image``, as labelled domains under one class table."""

import difflib
import os
from collections.abc import Sequence
from pathlib import Path

import torch

from tpsnet.errors import InputError
from tpsnet.types import Domain

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")


def image_folder(root: str | Path, names: Sequence[str] | None = None) -> dict[str, Domain]:
    """Read the tree ``root/domain/class/image``; Office-Home and DomainNet are laid out like this.

    A class has one id in all domains: its place in the sorted union of the chosen domains' class
    folders. (The field's loaders list each domain's folder on its own, which gives one class two
    ids as soon as a domain lacks a class.) Hidden entries and files of other kinds are passed over.

    Args:
        root: The folder that holds the domains.
        names: The domains to read, in this order; ``None`` reads all of them, sorted.

    Returns:
        The domains by name, images sorted by class and file name.

    Raises:
        InputError: A folder is missing, a name is unknown, or a domain or class holds nothing.
    """
    root = Path(root)
    found, _ = entries(root)
    if not found:
        raise InputError(f"{root}: no domain folder in it; expected root/domain/class/image")
    names = found if names is None else list(names)
    for name in names:
        if name not in found:
            near = difflib.get_close_matches(name, found, n=1, cutoff=0.0)[0]
            raise InputError(f"{root}: no domain {name!r}; did you mean {near!r}? (has {', '.join(found)})")
    # Saved embeddings name their images, and are opened from other folders.
    trees = {name: _classes(root.resolve() / name) for name in names}
    table = tuple(sorted({c for tree in trees.values() for c in tree}))
    return {name: _domain(name, tree, table) for name, tree in trees.items()}


def shared_classes(first: Domain, second: Domain) -> tuple[int, ...]:
    """The ids of the classes with images in both domains, rising.

    Raises:
        InputError: The domains have different class tables, or no class in common.
    """
    if first.class_names != second.class_names:
        raise InputError(
            f"domains {first.name!r} and {second.name!r} have different class tables; "
            "read both with one image_folder call"
        )
    shared = set(first.labels.tolist()) & set(second.labels.tolist())
    if not shared:
        raise InputError(f"domains {first.name!r} and {second.name!r} have no class in common; choose others")
    return tuple(sorted(shared))


def of_classes(domain: Domain, classes: Sequence[int]) -> list[int]:
    """Positions of a domain's images of some classes, rising."""
    return torch.isin(domain.labels, torch.tensor(classes)).nonzero()[:, 0].tolist()


def entries(folder: Path) -> tuple[list[str], list[str]]:
    """Names of the folders and of the images in a folder, both sorted, without the hidden.

    Raises:
        InputError: The folder is missing or cannot be read.
    """
    try:
        with os.scandir(folder) as found:  # ``scandir`` because DomainNet has 600,000 files
            shown = [entry for entry in found if not entry.name.startswith(".")]
            folders = sorted(entry.name for entry in shown if entry.is_dir())
            images = [e.name for e in shown if e.name.lower().endswith(IMAGE_SUFFIXES) and e.is_file()]
            return folders, sorted(images)
    except OSError as error:
        raise InputError(f"{folder}: cannot read this folder ({error.strerror}); check the path") from None


def _domain(name: str, tree: dict[str, list[Path]], table: tuple[str, ...]) -> Domain:
    paths = tuple(path for images in tree.values() for path in images)
    labels = [table.index(c) for c, images in tree.items() for _ in images]
    return Domain(name, paths, torch.tensor(labels, dtype=torch.int64), table)


def _classes(folder: Path) -> dict[str, list[Path]]:
    """The images of each class folder of one domain, both sorted."""
    classes, _ = entries(folder)
    if not classes:
        raise InputError(f"{folder}: domain {folder.name!r} has no class folder; expected domain/class/image")
    tree = {name: [folder / name / image for image in entries(folder / name)[1]] for name in classes}
    for name, images in tree.items():
        if not images:
            raise InputError(
                f"{folder / name}: no image in class folder {folder.name}/{name} "
                f"({', '.join(IMAGE_SUFFIXES)}); add some or remove the folder"
            )
    return tree
