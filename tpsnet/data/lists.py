"""Published lists of training and test images, as DomainNet comes with them.

A list is a text file ``DOMAIN_train.txt`` or ``DOMAIN_test.txt`` with one image a line, such as
``clipart/aircraft_carrier/clipart_001_000001.jpg 0``. The class number at the end is ignored and may be
missing: labels come from the folders.
"""

from collections import Counter
from pathlib import Path
from typing import Literal

from tpsnet.data.spelling import label
from tpsnet.errors import InputError
from tpsnet.io import read_lines
from tpsnet.paths import user_path
from tpsnet.types import Domain


def listed(domain: Domain, folder: str | Path, part: Literal["train", "test"]) -> list[int]:
    """Positions of the images of a domain that its list names, rising.

    Images match by the last three parts of their paths: domain, class and file. A listed image that lies on
    disk but is not in the domain, because it was found unreadable, is passed over.

    Args:
        domain: The domain, as ``image_folder`` reads it or as ``load_images`` leaves it.
        folder: The folder of the lists.
        part: Which of the two lists to read.

    Raises:
        InputError: The list is missing, unreadable or empty, or names an image more than once or one that the
            domain does not have.
    """
    file = user_path(folder) / f"{domain.name}_{part}.txt"
    lines = list(map(_without_number, read_lines(file, "images", "use the published list")))
    places = {_key(path): index for index, path in enumerate(domain.paths)}
    keys = [_key(Path(line)) for line in lines]
    folder_of_domain = domain.paths[0].parents[1]
    unknown = [
        line
        for line, key in zip(lines, keys, strict=True)
        if key not in places
        and not (key[:1] == (domain.name,) and _is_file(folder_of_domain.joinpath(*key[1:])))
    ]
    if unknown:
        raise InputError(
            f"{file}: {len(unknown)} of {len(lines)} lines name no image of domain {domain.name!r} "
            f"(first {unknown[0]!r}); use the list and the images of one release"
        )
    key, times = Counter(keys).most_common(1)[0]
    if times > 1:
        raise InputError(f"{file}: names {'/'.join(key)} {times} times; keep one of the lines")
    return sorted(places[key] for key in keys if key in places)


def _key(path: Path) -> tuple[str, ...]:
    """Domain, class and file, whatever their Unicode form."""
    return tuple(map(label, path.parts[-3:]))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # e.g. the name is too long for one
        return False


def _without_number(line: str) -> str:
    """The path in a line, without the class number behind it."""
    path, _, last = line.rpartition(" ")
    return path.rstrip() if last.isdigit() else line
