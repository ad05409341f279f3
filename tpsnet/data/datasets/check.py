"""Whether a download is whole: what is on disk beside what was published."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tpsnet.data.datasets.dataset import Dataset
from tpsnet.data.spelling import label
from tpsnet.data.walk import listing
from tpsnet.paths import user_path
from tpsnet.types import Domain

SHOWN = 5  # names that a line gives
PARTS = ("train", "test")


@dataclass(frozen=True)
class Differences:
    """How a folder differs from what was published, a line a kind.

    Attributes:
        lacking: What is missing; empty where the download is whole.
        superfluous: What should not be there, and does no harm.
    """

    lacking: tuple[str, ...]
    superfluous: tuple[str, ...]


def differences(
    dataset: Dataset, root: str | Path, domains: Mapping[str, Domain], names: Sequence[str] = ()
) -> Differences:
    """Compare what lies in a folder with what was published.

    Numbers that are not known (``DomainFacts.images`` is ``None``) are not compared.

    Args:
        dataset: The data set.
        root: Its folder.
        domains: Its domains, as ``image_folder`` reads them.
        names: The domains to look at; by default all.

    Raises:
        InputError: The folder cannot be read, or the data set has no such domain.
    """
    wanted = [dataset.domain(name) for name in names] or dataset.domains
    gone = [facts.name for facts in wanted if facts.name not in domains]
    classes, fewer, more = [], [], []
    for facts in wanted:
        if facts.name in gone:
            continue
        domain = domains[facts.name]
        there = {domain.class_names[c] for c in domain.labels.unique().tolist()}
        classes += [f"{facts.name}/{c}" for c in dataset.classes if c not in there | set(facts.lacks)]
        if facts.images is not None and len(domain) != facts.images:
            side = fewer if len(domain) < facts.images else more
            side.append(f"{facts.name} {abs(len(domain) - facts.images):,} of {facts.images:,}")
    return Differences(
        _lines(
            "missing",
            {
                f"domains, {len(gone)} of {len(wanted)}": gone,
                f"classes, {len(classes)} in all": classes,
                "images": fewer,
            },
        ),
        _lines(
            "superfluous",
            {"images": more, "files and folders beside the domains": _beside(dataset, user_path(root))},
        ),
    )


def _lines(what: str, found: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """A line for each kind of which there is something, with the first names."""
    lines = []
    for kind, names in found.items():
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        lines += [f"{what} {kind}: {', '.join(names[:SHOWN])}{more}"] if names else []
    return tuple(lines)


def _beside(dataset: Dataset, root: Path) -> list[str]:
    """Names in a data set's folder that lead to no domain and are no published list."""
    there = listing(root)
    places = [place for some in dataset.folders(root).values() for place in some]
    used = {place.relative_to(root).parts[0] for place in places}
    if dataset.lists:
        used |= {*dataset.lists, *(f"{d.name}_{part}.txt" for d in dataset.domains for part in PARTS)}
    known = set(map(label, used))
    return [name for name in (*there.folders, *there.images, *there.files) if label(name) not in known]
