"""What is known of a published data set: domains, classes, counts, splits, layouts, where it comes from."""

import difflib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from pathlib import Path

from tpsnet.data.spelling import label
from tpsnet.data.walk import PassedOver, listing
from tpsnet.errors import InputError
from tpsnet.paths import user_path


@dataclass(frozen=True)
class DomainFacts:
    """A domain of a data set.

    Attributes:
        name: What it is called here.
        known_as: The other whole names under which releases and peers keep it, or by which users ask for it.
        images: How many images are published; ``None`` where no exact number is known to us.
        extensions: Names, from the data set's folder on, of a second folder with more of its images.
        lacks: Classes without an image here in some release, which is no fault of a download.
    """

    name: str
    known_as: tuple[str, ...] = ()
    images: int | None = None
    extensions: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All its names, our own first."""
        return (self.name, *self.known_as)


@dataclass(frozen=True)
class Dataset:
    """A published data set; its facts, and how its folders lie in the releases that people have.

    Attributes:
        name: What it is called on the command line.
        title: What papers call it.
        domains: Its domains.
        classes: Names of its classes, sorted.
        page: Where to get it.
        terms: What its authors allow; ``None`` where that is not known to us.
        wrappers: Folders that archives put around the domains.
        layouts: Where the class folders of a domain lie, with ``{}`` for one of the domain's names.
        spellings: Class by the name of its folder, where a release names the folder otherwise.
        whole: Names of the classes that a subset leaves out.
        splits: Unseen classes of the field's zero-shot splits, by the name of the split.
        lists: Where the published train and test lists lie, from the data set's folder on; empty without any.
    """

    name: str
    title: str
    domains: tuple[DomainFacts, ...]
    classes: tuple[str, ...]
    page: str
    terms: str | None = None
    wrappers: tuple[str, ...] = ()
    layouts: tuple[str, ...] = ("{}",)
    spellings: Mapping[str, str] = field(default_factory=dict)
    whole: tuple[str, ...] = ()
    splits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    lists: tuple[str, ...] = ()

    @cached_property
    def _class_by_folder(self) -> dict[str, str]:
        return {**{name: name for name in self.classes}, **self.spellings}

    def domain(self, name: str) -> DomainFacts:
        """A domain by any of its names; capitals do not matter.

        Raises:
            InputError: No domain has this name.
        """
        by_name = {label(known).casefold(): domain for domain in self.domains for known in domain.names}
        key = label(name).casefold()
        if key not in by_name:
            near = difflib.get_close_matches(key, by_name, n=1, cutoff=0.0)[0]
            has = ", ".join(domain.name for domain in self.domains)
            raise InputError(
                f"{self.title} has no domain {name!r}; did you mean {by_name[near].name!r}? (has {has})"
            )
        return by_name[key]

    def class_of(self, folder: str) -> str | None:
        """The class whose images lie in a folder of this name; ``None`` for a folder of another kind."""
        return self._class_by_folder.get(label(folder))

    def folders(self, root: str | Path) -> dict[str, tuple[Path, ...]]:
        """The folders that hold the class folders of each domain, of the domains that are there.

        A place counts where at least one folder of a known class lies in it.

        Args:
            root: The folder of the data set, as its archives or peers lay it out.

        Raises:
            InputError: The folder is missing, holds no domain, or a domain twice.
        """
        root = user_path(root)
        listing(root)
        found = {domain.name: self._places(root, domain) for domain in self.domains}
        if not any(found.values()):
            raise InputError(f"{root}: no domain of {self.title} in it; {self._hint(root)}")
        return {name: places for name, places in found.items() if places}

    def list_folder(self, root: str | Path) -> Path | None:
        """The folder that holds the published lists of every domain, if one does; for ``Protocol.lists``."""
        homes = (user_path(root) / place for place in self.lists)
        files = [f"{d.name}_{part}.txt" for d in self.domains for part in ("train", "test")]
        return next((home for home in homes if all((home / file).is_file() for file in files)), None)

    def unseen(self, split: str | None = None) -> tuple[str, ...]:
        """Names of the unseen classes of a zero-shot split.

        Args:
            split: Its name, such as ``"25"``; may be left out where there is one alone.

        Raises:
            InputError: The data set has no such split, or several and none is named.
        """
        has = f"it has {', '.join(self.splits)}" if self.splits else "it has none"
        if split is None and len(self.splits) != 1:
            raise InputError(f"{self.title}: name a zero-shot split; {has}")
        if split is not None and split not in self.splits:
            raise InputError(f"{self.title} has no zero-shot split {split!r}; {has}")
        return self.splits[next(iter(self.splits)) if split is None else split]

    def _places(self, root: Path, domain: DomainFacts) -> tuple[Path, ...]:
        homes = [root, *(root / wrapper for wrapper in self.wrappers)]
        own = (home / lay.format(name) for home in homes for lay in self.layouts for name in domain.names)
        more = (home / name for home in homes for name in domain.extensions)
        return tuple(filter(None, (self._only(domain, own), self._only(domain, more))))

    def _only(self, domain: DomainFacts, candidates: Iterable[Path]) -> Path | None:
        """The candidate that holds class folders."""
        found: dict[str, Path] = {}  # by what it really is: a link to the same folder is no second one
        for place in candidates:
            if place.is_dir() and self._class_folders(place):
                found.setdefault(os.path.realpath(place), place)
        # DomainNet has a class "train", and peers keep its classes in DOMAIN/train.
        inner = {place.parent: place.name for place in found.values()}
        real = [place for place in found.values() if self._class_folders(place) - {inner.get(place)}]
        if len(real) > 1:
            raise InputError(
                f"{self.title}'s domain {domain.name!r} lies in {real[0]} and in {real[1]}; keep one"
            )
        return real[0] if real else None

    def _class_folders(self, place: Path) -> set[str]:
        known = (*self._class_by_folder, *self.whole)
        return {folder for folder in PassedOver().listing(place).folders if label(folder) in known}

    def _hint(self, root: Path) -> str:
        """What the user may have meant with a folder without a domain."""
        if self._class_folders(root):
            return "it holds classes, as one domain does; give the folder above it"
        for child in listing(root).folders:
            if any(self._places(root / child, domain) for domain in self.domains):
                return f"did you mean {root / child}?"
        first = self.domains[0]
        return f"expected {self.layouts[0].format(first.name)}/CLASS/IMAGE and the like; {self.source}"

    @property
    def source(self) -> str:
        """Where to get it, in words."""
        return f"get it from {self.page} (terms: {self.terms or 'not known to us, see the page'})"


def names_in(file: str) -> tuple[str, ...]:
    """The lines of a list of names beside this module, such as ``sketchy.txt``."""
    text = (resources.files("tpsnet.data.datasets") / file).read_text(encoding="utf-8")
    return tuple(map(label, text.splitlines()))
