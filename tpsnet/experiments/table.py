"""A results table: variants on pairs under protocols, one row each, resumable."""

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from tpsnet.data import Dataset, Spelling, image_folder
from tpsnet.errors import InputError
from tpsnet.evaluation import is_saved
from tpsnet.experiments.experiment import Experiment
from tpsnet.experiments.protocols import Closed, Protocol
from tpsnet.experiments.run import later, made_with, run
from tpsnet.experiments.source import Source
from tpsnet.experiments.variants import BASELINES, TRAINED, VARIANTS, Variant
from tpsnet.jobs import HERE, Cluster, Job, run_jobs
from tpsnet.report import check_row
from tpsnet.settings import Positive, Seed, Settings
from tpsnet.training import FitConfig


@dataclass(frozen=True)
class Table(Settings):
    """Which rows to fill.

    Attributes:
        folder: Folder where ``rows.jsonl`` grows; a second call fills in what is missing.
        source: Images and backbone.
        pairs: Pairs of domain names.
        seeds: Seeds of the trained rows; where the protocol draws classes, of all rows.
        variants: The rows.
        protocols: The protocols.
        loop: How the loop trains.
        workers: Processes that share the processor's threads and fill rows at the same time; each has a GPU
            of its own where there are several.
        cluster: A cluster that fills them instead.
        keep: Whether the embeddings are kept too, in ``embeddings/<first>-<second>-seed<seed>``, see
            ``evaluation.saved``; rows whose embeddings are not there are run again. A baseline that no seed
            changes stands under the first seed.
    """

    folder: Path
    source: Source
    pairs: tuple[tuple[str, str], ...]
    seeds: tuple[Seed, ...]
    variants: tuple[Variant, ...] = (*BASELINES.values(), *TRAINED.values())
    protocols: tuple[Protocol, ...] = (Closed(),)
    loop: FitConfig = field(default_factory=FitConfig)
    workers: Positive = 1
    cluster: Cluster = HERE
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


def all_pairs(
    root: Path, spelling: Spelling | None = None, dataset: Dataset | None = None
) -> tuple[tuple[str, str], ...]:
    """Every unordered pair of the folder's domains."""
    found = image_folder(root, spelling=spelling, dataset=dataset)
    return _several(tuple(itertools.combinations(found, 2)), root)


def chain(
    root: Path, spelling: Spelling | None = None, dataset: Dataset | None = None
) -> tuple[tuple[str, str], ...]:
    """Each domain of the folder with the next, as UEM's DomainNet pairs are."""
    found = image_folder(root, spelling=spelling, dataset=dataset)
    return _several(tuple(itertools.pairwise(found)), root)


def _several(pairs: tuple[tuple[str, str], ...], root: Path) -> tuple[tuple[str, str], ...]:
    if not pairs:
        raise InputError(f"{root} has a single domain, so no pair for a table; add a second domain folder")
    return pairs


def fill(table: Table) -> list[dict]:
    """Run every missing row; give back all rows of the table.

    A row is reused only if all that made it is equal: config, loop, protocol, weights, images' folder,
    metric version. An edited config trains its own row anew and no other.

    Raises:
        InputError: something concerns all rows; nothing is begun.
        RowsFailed: rows have failed; it has those that are there. The next call tries again.
    """
    table.cluster.check()
    jobs, seen = [], {}
    for job, *shown in _jobs(table):
        jobs.append(job)
        seen[job.key] = shown
    rows = table.folder / "rows.jsonl"

    def stale(job: Job, row: dict) -> bool:
        sizes, place = seen[job.key]
        lost = place is not None and not is_saved(place, row["protocol"], row["name"])
        return lost or _other_images(row, sizes)

    where = {"workers": table.workers, "device": table.source.device, "cluster": table.cluster}
    return run_jobs(rows, jobs, _row, **where, stale=stale, check=lambda row: check_row(row, rows))


def _jobs(table: Table) -> Iterator[tuple[Job, dict[str, int], Path | None]]:
    """Every row's job, the sizes of its galleries, and where its embeddings are kept, if they are.

    Images are decoded, divided, and complained about, before anything is written.
    """
    # The machine that sends jobs to a cluster need not have its GPUs.
    source = replace(table.source, device="cpu") if table.cluster.used else table.source
    backbone, device = source.backbone(), torch.device(table.source.device).type
    for asked in table.protocols:
        protocol = table.source.resolve(asked)
        root = os.path.realpath(table.source.folder(protocol))
        for names in table.pairs:
            pair = source.pair(names, protocol, backbone.resize)
            sizes = {}
            for seed in table.seeds if protocol.drawn else table.seeds[:1]:
                test = protocol.arrange(pair, seed).test
                sizes[seed] = {part.name: len(part) for part in test.domains}
            for variant in table.variants:
                for seed in table.seeds if variant.trains or protocol.drawn else table.seeds[:1]:
                    made = made_with(variant, names, protocol, seed, table.loop, backbone)
                    made |= {"device": device, "root": root, **table.source.spelling.fingerprint()}
                    made |= {"dataset": table.source.dataset} if table.source.dataset else {}
                    title = f"{' ↔ '.join(names)}, {protocol.name}: {variant.name}, seed {seed}"
                    row = Experiment(names, variant.config, protocol, table.loop, table.source, seed)
                    keep = _place(table, names, seed) if table.keep else None
                    told = (row.values(), variant.name, variant.oracle, None if keep is None else str(keep))
                    job = Job(made, told, title, later(backbone), kind=f"{protocol.name}, {variant.name}")
                    yield job, sizes[seed if protocol.drawn else table.seeds[0]], keep


def _other_images(row: dict, sizes: dict[str, int]) -> bool:
    """Whether a row was scored on a gallery of another size than its domain has now."""
    whole = [d for d in row["directions"] if d["kind"] != "unseen"]
    return any(d["card"]["n_gallery"] != sizes[d["gallery"]] for d in whole)


def _row(values: dict, name: str, oracle: bool, keep: str | None) -> dict:
    """A row, from what JSON holds: it may be made on another machine."""
    row = Experiment.of(values, Path("the row's settings"))
    variant, backbone = Variant(name, row.method, row.config, oracle), row.source.backbone()
    pair = row.source.pair(row.pair, row.protocol, backbone.resize)
    place = None if keep is None else Path(keep)
    return run(variant, pair, row.protocol, row.seed, backbone=backbone, loop=row.fit, keep=place).row


def _place(table: Table, names: tuple[str, str], seed: int) -> Path:
    return table.folder / "embeddings" / f"{'-'.join(names)}-seed{seed}"
