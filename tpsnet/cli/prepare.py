"""``tpsnet prepare``: images checked and decoded; ``tpsnet shape``: the same images in another shape."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal

import tyro
from annotated_types import Interval

from tpsnet.data import (
    DATASETS,
    Dataset,
    Shape,
    Spelling,
    check_room,
    compared,
    disk_need,
    embedded_root,
    image_folder,
    left_behind,
    load_images,
    write_shape,
)
from tpsnet.errors import InputError
from tpsnet.escape import printable
from tpsnet.settings import Seed, Settings

TOLD = 10**8  # bytes; what needs less of the disk is not worth a line


@dataclass(frozen=True)
class Prepare(Settings):
    """Decode images into the cache, and check every one. What is decoded already is not decoded again.

    With the name of a data set in front (office-home, office-31, domainnet, domainnet-7, pacs, vlcs, sketchy,
    tu-berlin, quickdraw), the download is compared with the published counts before. A word that names a data
    set is always the data set: write ./pacs for a folder of that name.
    """

    places: Annotated[
        tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="[DATASET] ROOT [DOMAIN ...]")
    ] = ()
    """The data set, if it is a known one; the folder that holds the domains (root/domain/class/image, or as
    the data set is laid out); the domains to read, by default all that hold images."""
    size: Annotated[int, Interval(ge=16, le=1024)] = 224
    """Side of the decoded images in pixels: the image size of the CLIP to be used."""
    check: bool = False
    """Read all files and all decoded pixels again: what is not as recorded is named, and decoded anew."""
    clean: bool = False
    """Then remove from the cache what else these classes of these folders have in it: earlier pictures, and
    pixels in another size than --size or of a CLIP that resizes otherwise. So is what is of folders that are
    gone, or on a disk that is not mounted. What a process builds or reads stays."""
    spelling: tyro.conf.OmitArgPrefixes[Spelling] = field(default_factory=Spelling)

    def __call__(self) -> None:
        """Print the counts of each domain; what is missing or cannot be read is named, and is an error."""
        dataset = DATASETS.get(self.places[0]) if self.places else None
        root, *names = self.places[1 if dataset else 0 :] or ("",)
        if not root.strip():
            known = f" ({dataset.name} is a data set, ./{dataset.name} a folder)" if dataset else ""
            raise InputError(f"prepare takes [DATASET] ROOT [DOMAIN ...]; give the folder ROOT{known}")
        near = [] if dataset or Path(root).exists() else get_close_matches(root, DATASETS, n=1)
        if near:
            raise InputError(f"{root}: no such folder, and no such data set; did you mean {near[0]}?")
        if dataset:
            _compare(dataset, root, names)
        skipped, loaded = 0, []
        domains = image_folder(root, names or None, self.spelling, dataset).values()
        need = sum(disk_need(domain, self.size) for domain in domains)
        told = check_room(root, need)
        if need >= TOLD:
            print(printable(told), flush=True)
        for domain in domains:
            kept, images = load_images(domain, self.size, check=self.check)
            loaded.append(images)  # open, so that it is not removed
            counts = f"{len(kept)} images of {len(domain.labels.unique())} classes"
            print(printable(f"{domain.name}: {counts}"), flush=True)
            skipped += len(domain) - len(kept)
        rest = left_behind(domains, self.size)
        if self.clean:
            print(printable(rest.remove()))
        elif besides := rest.described():
            print(f"beside them lie in the cache: {besides}; --clean removes that")
        if skipped:
            raise InputError(f"{root}: {skipped} images cannot be used; mend or remove those named above")


def _compare(dataset: Dataset, root: str, names: Sequence[str]) -> None:
    """Refuse a download that is not whole, before hours are spent on it."""
    _, differ = compared(dataset, root, names)
    if differ.lacking:
        raise InputError(f"{root}: this {dataset.title} is not whole, see above; {dataset.source}")


@dataclass(frozen=True)
class WriteShape(Settings):
    """Write a tree of links to the same images under other classes or in other numbers, for ``--root``."""

    shape: tyro.conf.Positional[Shape]
    """Nine large classes (of the embedded images alone), classes of uneven sizes, or five images a class."""
    folder: tyro.conf.Positional[Path]
    """The tree's root; it must not exist."""
    root: Path | None = None
    """The folder that holds the domains; by default the embedded images."""
    dataset: Literal[tuple(DATASETS)] | None = None
    """Which of the known data sets lies in root, in any layout in which it is passed on; domains and classes
    are then called as it has them."""
    seed: Seed = 0
    """Seed of what is kept."""
    spelling: tyro.conf.OmitArgPrefixes[Spelling] = field(default_factory=Spelling)

    def __call__(self) -> None:
        """Print the counts of each domain."""
        if self.dataset and not self.root:
            raise InputError(f"--dataset {self.dataset} needs --root, the folder that it lies in")
        known = DATASETS[self.dataset] if self.dataset else None
        domains = image_folder(self.root or embedded_root(), spelling=self.spelling, dataset=known)
        counts = write_shape(domains, self.folder, self.shape, self.seed)
        for name, number in counts.items():
            print(printable(f"{name}: {number} images"))
