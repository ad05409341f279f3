"""Folders of pictures, ``root/domain/class/picture``, as labelled domains under one class table."""

import difflib
import os
from collections.abc import Sequence
from pathlib import Path

import torch

from tpsnet.types import Domain, InputError

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")


def image_folder(root: str | Path, names: Sequence[str] | None = None) -> dict[str, Domain]:
    """Read the tree ``root/domain/class/picture``; Office-Home and DomainNet are laid out like this.

    A class has one id in all domains: its place in the sorted union of the chosen domains' class
    folders. (The field's loaders list each domain's folder on its own, which gives one class two
    ids as soon as a domain lacks a class.) Hidden entries and files of other kinds are passed over.

    Args:
        root: the folder that holds the domains.
        names: the domains to read, in this order; all of them, sorted, when ``None``.

    Returns:
        The domains by name, pictures sorted by class and file name.

    Raises:
        InputError: a missing folder, an unknown name, or a domain or class that holds nothing.
    """
    root = Path(root)
    found = _folders(root)
    if not found:
        raise InputError(f"{root}: no domain folder in it; expected root/domain/class/picture")
    names = found if names is None else list(names)
    for name in names:
        if name not in found:
            near = difflib.get_close_matches(name, found, n=1, cutoff=0.0)[0]
            raise InputError(f"{root}: no domain {name!r}; did you mean {near!r}? (has {', '.join(found)})")
    # Saved embeddings name their pictures, and are opened from other folders.
    trees = {name: _classes(root.resolve() / name) for name in names}
    table = tuple(sorted({c for tree in trees.values() for c in tree}))
    return {name: _domain(name, tree, table) for name, tree in trees.items()}


def shared_classes(first: Domain, second: Domain) -> tuple[int, ...]:
    """The ids of the classes with pictures in both domains, ascending.

    Raises:
        InputError: the domains have different class tables, or no class in common.
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
    """Positions of a domain's pictures of some classes, rising."""
    return torch.isin(domain.labels, torch.tensor(classes)).nonzero()[:, 0].tolist()


def _domain(name: str, tree: dict[str, list[Path]], table: tuple[str, ...]) -> Domain:
    paths = tuple(path for pictures in tree.values() for path in pictures)
    labels = [table.index(c) for c, pictures in tree.items() for _ in pictures]
    return Domain(name, paths, torch.tensor(labels, dtype=torch.int64), table)


def _classes(folder: Path) -> dict[str, list[Path]]:
    """The pictures of each class folder of one domain, both sorted."""
    classes = _folders(folder)
    if not classes:
        raise InputError(
            f"{folder}: domain {folder.name!r} has no class folder; expected domain/class/picture"
        )
    tree = {name: _pictures(folder / name) for name in classes}
    for name, pictures in tree.items():
        if not pictures:
            raise InputError(
                f"{folder / name}: no picture in class folder {folder.name}/{name} "
                f"({', '.join(PICTURE_SUFFIXES)}); add some or remove the folder"
            )
    return tree


def _folders(folder: Path) -> list[str]:
    return sorted(e.name for e in _entries(folder) if e.is_dir())


def _pictures(folder: Path) -> list[Path]:
    files = (e.name for e in _entries(folder) if e.is_file() and e.name.lower().endswith(PICTURE_SUFFIXES))
    return [folder / name for name in sorted(files)]


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """What a folder holds, without the hidden; ``scandir`` because DomainNet has 600,000 files."""
    try:
        with os.scandir(folder) as entries:
            return [e for e in entries if not e.name.startswith(".")]
    except OSError as error:
        raise InputError(f"{folder}: cannot read this folder ({error.strerror}); check the path") from None
