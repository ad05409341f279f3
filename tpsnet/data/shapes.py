"""Other shapes of data from the same images: few large classes, uneven ones, small ones; a folder of links.

What a method or a rule of detection is worth depends on how many classes there are and how large they are.
The embedded benchmark has many small ones of one size; the trees made here are read like any image folder.
"""

import json
import random
from collections import defaultdict
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Literal

from tpsnet.errors import InputError
from tpsnet.io import replacing
from tpsnet.paths import check_output, sweep
from tpsnet.types import Domain

Shape = Literal["coarse", "uneven", "few"]
FEW = 5  # images of a class in a domain
LEAST = 2  # images of the smallest uneven class


def write_shape(domains: Mapping[str, Domain], folder: Path, shape: Shape, seed: int = 0) -> dict[str, int]:
    """Write a tree ``domain/class/image`` of links to the images of some domains, whole or not at all.

    What a killed call for the same folder has left beside it is removed first.

    Args:
        domains: The domains, by name.
        folder: The tree's root; it must not exist.
        shape: ``"coarse"`` puts the classes of the embedded images into nine groups, after those of Unicode's
            CLDR; ``"uneven"`` keeps from two images of a class up to all of them, the same share in every
            domain; ``"few"`` keeps five of each class and domain.
        seed: Seed of what is kept.

    Returns:
        How many images each domain has.

    Raises:
        InputError: the folder is there, links cannot be written, or a class belongs to no group.
    """
    if folder.exists():
        raise InputError(f"{folder} is there already; choose another folder, or remove it")
    folder = check_output(folder)
    sweep(folder.parent, folder.name)
    rng, counts = random.Random(seed), {}
    names = sorted({name for domain in domains.values() for name in domain.class_names})
    group = _groups(names) if shape == "coarse" else {name: name for name in names}
    share = {name: rng.random() for name in names}
    with replacing(folder) as partial:
        for domain in domains.values():
            kept = 0
            for name, paths in _by_class(domain).items():
                rng.shuffle(paths)
                most = {"few": FEW, "uneven": max(LEAST, round(share[name] * len(paths)))}.get(shape)
                place = partial / domain.name / group[name]
                place.mkdir(parents=True, exist_ok=True)
                for path in sorted(paths[:most]):
                    (place / f"{path.parent.name}-{path.name}").symlink_to(path.resolve())
                kept += len(paths[:most])
            counts[domain.name] = kept
    return counts


def _by_class(domain: Domain) -> dict[str, list[Path]]:
    found = defaultdict(list)
    for path, label in zip(domain.paths, domain.labels.tolist(), strict=True):
        found[domain.class_names[label]].append(Path(path))
    return found


def _groups(names: list[str]) -> dict[str, str]:
    """The group of each class."""
    table = json.loads((resources.files("tpsnet") / "assets" / "groups.json").read_text(encoding="utf-8"))
    found = {name: group for group, members in table.items() for name in members}
    unknown = [name for name in names if name not in found]
    if unknown:
        raise InputError(
            f"no group for class {unknown[0]!r}; the coarse shape is made of the embedded images alone"
        )
    return found
