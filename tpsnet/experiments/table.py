"""A results table: variants on pairs under protocols, one row each, resumable."""

import itertools
from dataclasses import dataclass, field
from pathlib import Path

from tpsnet.data import image_folder
from tpsnet.errors import InputError
from tpsnet.evaluation import is_saved
from tpsnet.experiments.jobs import Job, run_jobs
from tpsnet.experiments.protocols import Closed, Protocol
from tpsnet.experiments.run import made_with, run
from tpsnet.experiments.source import Source
from tpsnet.experiments.variants import BASELINES, TRAINED, VARIANTS, Variant
from tpsnet.training import FitConfig


@dataclass(frozen=True)
class Table:
    """Which rows to fill.

    Attributes:
        folder: Folder where ``rows.jsonl`` grows; a second call fills in what is missing.
        source: Images and backbone.
        pairs: Pairs of domain names.
        seeds: Seeds of the trained rows; where the protocol draws classes, of all rows.
        variants: The rows.
        protocols: The protocols.
        loop: How the loop trains.
        workers: Processes that share the processor's threads and fill rows at the same time.
        keep: Whether the embeddings are kept too, in ``embeddings/<first>-<second>-seed<seed>``, see
            ``evaluation.saved``; rows whose embeddings are not there are run again. A baseline that no seed
            changes stands under the first seed.
    """

    folder: Path
    source: Source
    pairs: tuple[tuple[str, str], ...]
    seeds: tuple[int, ...]
    variants: tuple[Variant, ...] = (*BASELINES.values(), *TRAINED.values())
    protocols: tuple[Protocol, ...] = (Closed(),)
    loop: FitConfig = field(default_factory=FitConfig)
    workers: int = 1
    keep: bool = False


def variants(*names: str) -> tuple[Variant, ...]:
    """Variants by name.

    Raises:
        InputError: there is no such variant.
    """
    for name in names:
        if name not in VARIANTS:
            raise InputError(f"no variant {name!r}; choose from {', '.join(VARIANTS)}")
    return tuple(VARIANTS[name] for name in names)


def all_pairs(root: Path) -> tuple[tuple[str, str], ...]:
    """Every unordered pair of the folder's domains."""
    return _several(tuple(itertools.combinations(image_folder(root), 2)), root)


def chain(root: Path) -> tuple[tuple[str, str], ...]:
    """Each domain of the folder with the next, as UEM's DomainNet pairs are."""
    return _several(tuple(itertools.pairwise(image_folder(root))), root)


def _several(pairs: tuple[tuple[str, str], ...], root: Path) -> tuple[tuple[str, str], ...]:
    if not pairs:
        raise InputError(f"{root} has a single domain, so no pair for a table; add a second domain folder")
    return pairs


def fill(table: Table) -> list[dict]:
    """Run every missing row; give back all rows of the table.

    A row is reused only if all that made it is equal: config, loop, protocol, weights, images' folder,
    metric version. An edited config trains its own row anew and no other.
    """
    backbone = table.source.backbone()
    jobs = []
    for asked in table.protocols:
        protocol = table.source.resolve(asked)
        root = table.source.folder(protocol)
        for names in table.pairs:
            for variant in table.variants:
                for seed in table.seeds if variant.trains or protocol.drawn else table.seeds[:1]:
                    made = made_with(variant, names, protocol, seed, table.loop, backbone)
                    made |= {"root": str(root.resolve())}
                    where = f"{' ↔ '.join(names)}, {protocol.name}: {variant.name}, seed {seed}"
                    jobs.append(Job(made, (table, variant, names, protocol, seed), where))
        for names in table.pairs:  # decoded, and complained about, before any training
            table.source.pair(names, protocol, backbone.image_size)
    rows = table.folder / "rows.jsonl"
    return run_jobs(rows, jobs, _row, workers=table.workers, stale=lambda job: not _kept(*job.arguments))


def _row(table: Table, variant: Variant, names: tuple[str, str], protocol: Protocol, seed: int) -> dict:
    backbone = table.source.backbone()
    pair = table.source.pair(names, protocol, backbone.image_size)
    keep = _place(table, names, seed) if table.keep else None
    return run(variant, pair, protocol, seed, backbone=backbone, loop=table.loop, keep=keep).row


def _place(table: Table, names: tuple[str, str], seed: int) -> Path:
    return table.folder / "embeddings" / f"{'-'.join(names)}-seed{seed}"


def _kept(table: Table, variant: Variant, names: tuple[str, str], protocol: Protocol, seed: int) -> bool:
    """Whether the embeddings of a row are there, if they are to be."""
    return not table.keep or is_saved(_place(table, names, seed), protocol.name, variant.name)
