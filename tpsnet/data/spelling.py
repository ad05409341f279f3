"""Names of domains and classes: one name for one Unicode text, and classes that are spelt in two ways."""

import difflib
import unicodedata
import zlib
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from tpsnet.data.walk import warn_once
from tpsnet.errors import InputError
from tpsnet.io import read_text
from tpsnet.paths import user_path
from tpsnet.types import Domain

SHOWN = 5  # clashes that a line names


def label(name: str) -> str:
    r"""A name as it is shown and compared: composed (NFC), bytes that are no UTF-8 as ``\udcNN``.

    macOS stores names decomposed (NFD), other systems as they were typed; both are the same name here.
    """
    return unicodedata.normalize("NFC", name.encode("utf-8", "backslashreplace").decode("utf-8"))


@dataclass(frozen=True)
class Spelling:
    """How class folders are named.

    Attributes:
        classes: Text file (UTF-8) that gives class folders another name in all domains: a line FOLDER = CLASS
            each, e.g. "balls = ball". A line "glass = glass" says that a name is meant as it is.
        strict: Refuse classes that seem to be one class spelt in two ways (by case, spaces, signs or plural),
            instead of a warning.
    """

    classes: Path | None = None
    strict: bool = False

    def names(self) -> dict[str, str]:
        """The class by the name of its folder, as the file has them.

        Raises:
            InputError: The file cannot be read, or a line is not FOLDER = CLASS.
        """
        found: dict[str, str] = {}
        text = read_text(user_path(self.classes), "give a UTF-8 text file") if self.classes else ""
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            folder, _, name = (label(part.strip()) for part in line.partition("="))
            if not (folder and name) or "/" in name or name in (".", ".."):
                raise InputError(f"{self.classes}, line {number}: write it as FOLDER = CLASS, two names")
            if found.setdefault(folder, name) != name:
                raise InputError(f"{self.classes}, line {number}: {folder!r} has two names; keep one line")
        return found

    def fingerprint(self) -> dict[str, int]:
        """Checksum of the file: other names are another class table. Empty without a file."""
        if self.classes is None:
            return {}
        return {"classes": zlib.crc32(repr(sorted(self.names().items())).encode())}

    def renamed(self, trees: Mapping[str, Mapping[str, list[Path]]]) -> dict[str, dict[str, list[Path]]]:
        """The images by domain and class, classes sorted, where the file gives a class its name.

        Raises:
            InputError: See ``names``.
        """
        names, folders = self.names(), {folder for tree in trees.values() for folder in tree}
        unused = sorted(set(names) - {folder.strip() for folder in folders})
        if unused:
            near = difflib.get_close_matches(unused[0], folders, n=1, cutoff=0.0)[0]
            warn_once(
                f"{self.classes}: {len(unused)} of {len(names)} lines name no class folder of "
                f"{', '.join(trees)} (the first is {unused[0]!r}; did you mean {near!r}?)"
            )
        found = {}
        for domain, tree in trees.items():
            found[domain] = defaultdict(list)
            for folder, images in tree.items():
                found[domain][names.get(folder.strip(), folder)] += images
        return {domain: dict(sorted(tree.items())) for domain, tree in found.items()}

    def check(self, domains: Mapping[str, Domain], root: Path) -> None:
        """Tell which classes seem to be one, spelt in two ways, and how many queries that costs.

        Raises:
            InputError: There are some, and the check is strict.
        """
        meant = {name for folder, name in self.names().items() if folder == name}
        clashes, lost = two_spellings(domains, meant)
        if not clashes:
            return
        more = f"; {len(clashes) - SHOWN} more" if len(clashes) > SHOWN else ""
        line = (
            f"{root}: {len(clashes)} classes seem to be spelt in two ways "
            f"({'; '.join(clashes[:SHOWN])}{more}), which leaves {lost} images as queries without a match; "
            "rename folders, or give --classes a text file with lines such as 'balls = ball'"
        )
        if self.strict:
            raise InputError(line)
        warn_once(line)


def two_spellings(domains: Mapping[str, Domain], meant: Collection[str] = ()) -> tuple[list[str], int]:
    """Classes without a counterpart in another domain that has one of nearly the same name.

    Such names differ in case, spaces, punctuation or Unicode form, or are a singular and its plural.

    Args:
        domains: The domains by name, under one class table.
        meant: Names that are as they should be.

    Returns:
        What is spelt in two ways, in words, and how many images are without a match for it.
    """
    counts = {name: _class_counts(domain) for name, domain in domains.items()}
    names = sorted(set().union(*counts.values()) - set(meant))
    clashes, lost = [], 0
    for spellings in _by_likeness(names).values():
        costs = sum(
            own[s]
            for own in counts.values()
            for s in own.keys() & set(spellings)
            if any(s not in other and other.keys() & set(spellings) for other in counts.values())
        )
        if costs:
            lost += costs
            where = {s: next(domain for domain, own in counts.items() if s in own) for s in spellings}
            clashes.append(" and ".join(f"{s!r} in {domain}" for s, domain in where.items()))
    return clashes, lost


def _class_counts(domain: Domain) -> Counter[str]:
    return Counter(domain.class_names[c] for c in domain.labels.tolist())


def _by_likeness(names: Collection[str]) -> dict[str, list[str]]:
    """Names by what they have in common."""
    keys = {name: _bare(name) for name in names}
    singular = {plural: key for key in keys.values() for plural in _plurals(key)}
    groups = defaultdict(list)
    for name, key in keys.items():
        groups[singular.get(key, key)].append(name)
    return {key: some for key, some in groups.items() if len(some) > 1}


def _bare(name: str) -> str:
    """A name without case, spaces and punctuation."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return "".join(c for c in folded if unicodedata.category(c)[0] not in "ZPC") or name


def _plurals(word: str) -> tuple[str, ...]:
    regular = (f"{word}s", f"{word}es")
    irregular = {"y": f"{word[:-1]}ies", "f": f"{word[:-1]}ves"}.get(word[-1:])
    knives = (f"{word[:-2]}ves",) if word.endswith("fe") else ()
    return (*regular, *([irregular] if irregular else []), *knives)
