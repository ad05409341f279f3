"""What lies in folders: images to read, folders to enter, and what is passed over, by kind."""

import errno
import functools
import logging
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tpsnet.data.decode import IMAGE_SUFFIXES
from tpsnet.errors import InputError

# What systems and tools leave beside images. It goes without a word, like all names that start with a dot.
LITTER = frozenset(
    {"__macosx", "thumbs.db", "desktop.ini", "icon\r", "@eadir", "#recycle", "$recycle.bin"}
    | {"system volume information", "lost+found"}
)
FOLDER, IMAGE, FILE = "folder", "image", "file"
READ_FORMATS = ".jpg, .png, .tif and others that Pillow reads"

# Faults of a file or folder itself; others (too many open files, a disk that does not answer) may pass.
LASTING = frozenset(
    {errno.ENOENT, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG}
)

log = logging.getLogger("tpsnet")


@dataclass(frozen=True)
class Listing:
    """The entries of one folder, without litter.

    Attributes:
        folders: Names of the folders, sorted; of links only those that do not lead back above themselves.
        images: Names of the image files, sorted.
        files: Names of the other files, sorted.
        faults: Name and kind of what is neither, such as a link to nothing, sorted.
    """

    folders: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    faults: tuple[tuple[str, str], ...] = ()


class PassedOver:
    """What was not read, counted by kind, with the first of each kind."""

    def __init__(self) -> None:
        self._first: dict[str, Path] = {}
        self._number: Counter[str] = Counter()

    def add(self, kind: str, *paths: Path) -> None:
        """Count some paths of one kind, a noun in the plural."""
        for path in paths:
            self._first.setdefault(kind, path)
            self._number[kind] += 1

    def add_files(self, folder: Path, there: Listing) -> None:
        """Count the files that are no images, by suffix."""
        for name in there.files:
            suffix = _suffix(name)
            self.add(f"{suffix} files" if suffix else "files without a suffix", folder / name)

    def listing(self, folder: Path) -> Listing:
        """The entries of a folder, its faults counted; one that cannot be listed is counted and empty.

        Raises:
            InputError: It cannot be listed for a reason that may pass.
        """
        try:
            there = _listing(folder)
        except OSError as error:
            if error.errno not in LASTING:
                raise InputError(f"{folder}: cannot be listed now ({error.strerror}); try again") from None
            self.add(f"folders that cannot be listed ({error.strerror})", folder)
            return Listing()
        for name, kind in there.faults:
            self.add(kind, folder / name)
        return there

    def warn(self) -> None:
        """One line a kind."""
        for kind, path in self._first.items():
            warn_once(f"passed over {kind}: {self._number[kind]}, the first is {path}")


@functools.cache
def warn_once(line: str) -> None:
    """Log a warning the first time: tables read the same folder again for each of their rows."""
    log.warning("%s", line)


def listing(folder: Path) -> Listing:
    """The entries of a folder.

    Raises:
        InputError: The folder is missing or cannot be listed.
    """
    try:
        return _listing(folder)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{folder}: cannot read this folder ({reason}); check the path") from None


def images_below(folder: Path, passed: PassedOver) -> list[Path]:
    """Every image in a folder and in the folders below it, sorted by path; each folder is read once.

    Args:
        folder: Where to start.
        passed: Takes what is not read.
    """
    found, seen = [], set()
    pending, links = [folder], []  # links come last: a folder goes by its own name where it has one
    while pending or links:
        here = (pending or links).pop(0)
        if (place := _identity(here)) in seen:
            passed.add("links to a folder that is read already", here)
            continue
        seen.add(place)
        there = passed.listing(here)
        passed.add_files(here, there)
        found += [here / image for image in there.images]
        for name in there.folders:
            (links if (here / name).is_symlink() else pending).append(here / name)
    return sorted(found)


def _listing(folder: Path) -> Listing:
    with os.scandir(folder) as found:  # ``scandir`` because DomainNet has 600,000 files
        kinds = sorted((entry.name, _kind(entry)) for entry in found if not _is_litter(entry.name))
    folders, images, files = (
        tuple(name for name, kind in kinds if kind == one) for one in (FOLDER, IMAGE, FILE)
    )
    faults = tuple((name, kind) for name, kind in kinds if kind not in (FOLDER, IMAGE, FILE))
    return Listing(folders, images, files, faults)


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 (a path for each file costs seconds)


def _is_litter(name: str) -> bool:
    return name.startswith(".") or name.casefold() in LITTER


def _kind(entry: os.DirEntry) -> str:
    """What an entry is: one of the three, or a fault in the plural."""
    try:
        if entry.is_dir():
            return "links to a folder above them" if _leads_back(entry) else FOLDER
        if entry.is_file():
            return IMAGE if _suffix(entry.name) in IMAGE_SUFFIXES else FILE
        return "pipes, sockets and devices" if Path(entry.path).exists() else "links to nothing"
    except OSError as error:
        if error.errno not in LASTING:
            raise
        loop = error.errno == errno.ELOOP
        return "links in a loop" if loop else f"entries that cannot be read ({error.strerror})"


def _leads_back(entry: os.DirEntry) -> bool:
    if not entry.is_symlink():
        return False
    here = Path(os.path.realpath(entry.path, strict=True))
    there = Path(os.path.realpath(Path(entry.path).parent))
    return here in (there, *there.parents)


def _identity(folder: Path) -> tuple[int, int] | Path:
    try:
        facts = folder.stat()
    except OSError:  # ``listing`` finds out why
        return folder
    return facts.st_dev, facts.st_ino
