"""Folders of images, ``root/domain/class/image``, as labelled domains under one class table."""

import difflib
import logging
import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import torch

from tpsnet.data.datasets import Dataset, Differences, differences
from tpsnet.data.spelling import Spelling, label
from tpsnet.data.walk import READ_FORMATS, PassedOver, images_below, listing
from tpsnet.errors import InputError
from tpsnet.escape import printable
from tpsnet.paths import user_path
from tpsnet.types import Domain

EXPECTED = "expected root/domain/class/image"
STRAYS = "images above the class folders"

log = logging.getLogger("tpsnet")


def image_folder(
    root: str | Path,
    names: Sequence[str] | None = None,
    spelling: Spelling | None = None,
    dataset: Dataset | None = None,
) -> dict[str, Domain]:
    """Read the tree ``root/domain/class/image``, or the folders of a data set as it is laid out.

    A class has one id in all domains: its place in the sorted union of the chosen domains' class
    folders. (The field's loaders list each domain's folder on its own, which gives one class two
    ids as soon as a domain lacks a class.) Folders whose names differ in their Unicode form alone are one.

    Every suffix of a still picture that Pillow reads counts, in either case. What systems leave behind
    (hidden entries, ``__MACOSX``, ``Thumbs.db``) goes without a word; what else is passed over is logged, a
    line a kind: other files, dead links and loops, images above or below the class folders, empty folders.

    Args:
        root: The folder that holds the domains.
        names: The domains to read, in this order; ``None`` reads all that hold images, sorted.
        spelling: Other names for class folders, and what to do about classes that are spelt in two ways.
        dataset: The data set that lies there. Its domains can be asked for by any of their names; domains and
            classes get the data set's own names, and folders of no class of it are passed over.

    Returns:
        The domains by name, images sorted by class, folder and file name.

    Raises:
        InputError: A folder is missing, a name is unknown or doubled, a domain holds no image; see
            ``Spelling``.
    """
    root, spelling = user_path(root), spelling or Spelling()
    trees = spelling.renamed(_trees(root, names) if dataset is None else _known_trees(root, names, dataset))
    table = tuple(sorted({c for tree in trees.values() for c in tree}))
    domains = {name: _domain(name, tree, table) for name, tree in trees.items()}
    spelling.check(domains, root)
    return domains


def compared(
    dataset: Dataset, root: str | Path, names: Sequence[str] = ()
) -> tuple[dict[str, Domain], Differences]:
    """The domains of a download, and how they differ from what was published; each difference is logged.

    Args:
        dataset: The data set.
        root: Its folder.
        names: The domains to read, by any of their names; by default all. One that is missing is left out.

    Raises:
        InputError: See ``image_folder`` and ``differences``.
    """
    there, wanted = dataset.folders(root), [dataset.domain(name).name for name in names]
    found = image_folder(root, [name for name in wanted if name in there] or None, dataset=dataset)
    differ = differences(dataset, root, found, names)
    for line in (*differ.superfluous, *differ.lacking):
        log.warning("%s", printable(line))
    return found, differ


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


def _trees(root: Path, names: Sequence[str] | None) -> dict[str, dict[str, list[Path]]]:
    """The images by domain and class folder; what is passed over is logged."""
    there, passed = listing(root), PassedOver()
    folders = _by_label(there.folders)
    if not folders:
        raise InputError(f"{root}: no domain folder in it; {EXPECTED}")
    chosen = list(folders) if names is None else [_known(label(name), folders, root) for name in names]
    _once(chosen, root)
    # Saved embeddings name their images, and are opened from other folders.
    here = Path(os.path.realpath(root))
    trees = {name: _classes([here / folder for folder in folders[name]], passed) for name in chosen}
    empty = [name for name, tree in trees.items() if not tree]
    if names is None:
        passed.add(STRAYS, *(here / image for image in there.images))
        for name, kind in there.faults:
            passed.add(kind, here / name)
        passed.add("folders without an image in a class folder", *(here / folders[name][0] for name in empty))
    passed.warn()
    if empty and (names is not None or len(empty) == len(trees)):
        place = root if names is None else root / empty[0]
        raise InputError(f"{place}: no image in a class folder ({READ_FORMATS}); {EXPECTED}")
    return {name: tree for name, tree in trees.items() if tree}


def _known_trees(
    root: Path, names: Sequence[str] | None, dataset: Dataset
) -> dict[str, dict[str, list[Path]]]:
    """The images of a data set by domain and class; what is passed over is logged."""
    found, passed = dataset.folders(root), PassedOver()
    chosen = list(found) if names is None else [dataset.domain(name).name for name in names]
    _once(chosen, root)
    if missing := [name for name in chosen if name not in found]:
        raise InputError(
            f"{root}: {dataset.title}'s domain {missing[0]!r} is not there (has {', '.join(found)}); "
            f"{dataset.source}"
        )
    trees = {name: _known_classes(found[name], dataset, passed) for name in chosen}
    passed.warn()
    empty = [name for name in chosen if not trees[name]]
    if empty and (names is not None or len(empty) == len(trees)):
        raise InputError(
            f"{found[empty[0]][0]}: no image in a class folder ({READ_FORMATS}); {dataset.source}"
        )
    return {name: tree for name, tree in trees.items() if tree}


def _known_classes(places: Sequence[Path], dataset: Dataset, passed: PassedOver) -> dict[str, list[Path]]:
    """The images of each class of one domain of a data set."""
    tree = defaultdict(list)
    for place in places:
        here = Path(os.path.realpath(place))
        there, seen = passed.listing(here), {}
        passed.add(STRAYS, *(here / image for image in there.images))
        for folder in there.folders:
            name = dataset.class_of(folder)
            if name is None:
                passed.add(f"folders of no class of {dataset.title}", here / folder)
                continue
            if label(seen.setdefault(name, folder)) != label(folder):
                raise InputError(f"{here}: {seen[name]!r} and {folder!r} are both class {name!r}; keep one")
            tree[name] += _images(here / folder, passed)
    return {name: images for name, images in tree.items() if images}


def _once(chosen: Sequence[str], root: Path) -> None:
    if len(set(chosen)) < len(chosen):
        double = next(name for name in chosen if chosen.count(name) > 1)
        raise InputError(f"{root}: domain {double!r} is asked for twice; name different domains")


def _by_label(folders: Sequence[str]) -> dict[str, list[str]]:
    """Names of folders by what they are called, sorted."""
    found = defaultdict(list)
    for folder in folders:
        found[label(folder)].append(folder)
    return dict(sorted(found.items()))


def _known(name: str, folders: dict[str, list[str]], root: Path) -> str:
    if name not in folders:
        near = difflib.get_close_matches(name, folders, n=1, cutoff=0.0)[0]
        raise InputError(f"{root}: no domain {name!r}; did you mean {near!r}? (has {', '.join(folders)})")
    return name


def _classes(folders: Sequence[Path], passed: PassedOver) -> dict[str, list[Path]]:
    """The images of each class of one domain; classes without an image are left out."""
    tree = defaultdict(list)
    for folder in folders:
        there = passed.listing(folder)
        passed.add(STRAYS, *(folder / image for image in there.images))
        for name in there.folders:
            tree[label(name)] += _images(folder / name, passed)
    return {name: images for name, images in tree.items() if images}


def _images(folder: Path, passed: PassedOver) -> list[Path]:
    """The images of one class folder, sorted."""
    there = passed.listing(folder)
    passed.add_files(folder, there)
    for name in there.folders:
        passed.add("images in folders below the class folders", *images_below(folder / name, PassedOver()))
    if not there.images:
        passed.add("class folders without an image", folder)
    return [folder / image for image in there.images]


def _domain(name: str, tree: dict[str, list[Path]], table: tuple[str, ...]) -> Domain:
    paths = tuple(path for images in tree.values() for path in images)
    places = {name: place for place, name in enumerate(table)}
    labels = [places[c] for c, images in tree.items() for _ in images]
    return Domain(name, paths, torch.tensor(labels, dtype=torch.int64), table)
