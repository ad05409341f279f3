"""The commands that fill tables and write their pages."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import tyro

from tpsnet.cli.machines import Machines
from tpsnet.data import embedded_root, image_folder, write_shape
from tpsnet.errors import InputError
from tpsnet.experiments import (
    BASELINES,
    ORACLE,
    PROTOCOLS,
    TRAINED,
    UNIVERSAL,
    ZERO_SHOT,
    Protocol,
    Source,
    Table,
    Variant,
    ZeroShot,
    all_pairs,
    chain,
    variants,
)
from tpsnet.io import read_lines
from tpsnet.report import results_markdown, universal_markdown, zero_shot_markdown
from tpsnet.settings import Positive, Seed, Settings


@dataclass(frozen=True)
class Filling(Settings):
    """The options that all tables share."""

    seeds: tuple[Seed, ...] = (0, 1, 2)
    """Seeds of the trained rows, and of classes where the protocol draws them."""
    pairs: tuple[str, ...] = ()
    """Pairs of domains as FIRST:SECOND; by default all that the table is made for."""
    ks: tuple[Positive, ...] | None = None
    """Depths k of the metrics, by default those of the protocol; those beyond a gallery are left out."""
    keep: bool = False
    """Also keep the embeddings, a folder for each pair and seed, for notebook 8."""
    coarse: bool = True
    """Also fill a second table of the embedded images in nine large classes, on the first two pairs."""
    source: tyro.conf.OmitArgPrefixes[Source] = field(default_factory=Source)
    machines: tyro.conf.OmitArgPrefixes[Machines] = field(default_factory=Machines)

    def table(
        self, folder: Path, protocols: tuple[Protocol, ...], pairs: tuple[tuple[str, str], ...]
    ) -> Table:
        """The table without its variants, on the pairs that the user names, else on the given ones."""
        if not self.seeds:
            raise InputError("--seeds needs at least one seed")
        self.machines.check()
        asked = tuple(self.source.names(two_domains(pair)) for pair in self.pairs) or pairs
        return Table(folder, self.source, asked, self.seeds, (), protocols, keep=self.keep)

    def fill(self, table: Table, rows: tuple[Variant, ...], **changes: object) -> list[dict]:
        """The rows of some variants, but those that the backbone cannot serve and those that fail."""
        moco = self.source.model.startswith("moco:")
        served = tuple(v for v in rows if not (moco and v.needs_clip))
        table = dataclasses.replace(table, variants=served, **changes)
        if self.ks is not None:
            deep = tuple(dataclasses.replace(protocol, ks=self.ks) for protocol in table.protocols)
            table = dataclasses.replace(table, protocols=deep)
        return self.machines.fill(table)

    def fill_coarse(self, table: Table, rows: tuple[Variant, ...], **changes: object) -> list[dict]:
        """The rows of some variants on the embedded images in nine classes; none for images of one's own."""
        if self.source.root or not self.coarse:
            return []
        folder = table.folder / "coarse"
        source = dataclasses.replace(self.source, root=folder / "images")
        if not source.root.exists():
            write_shape(image_folder(embedded_root()), source.root, "coarse")
        return self.fill(table, rows, folder=folder, source=source, pairs=table.pairs[:2], **changes)


@dataclass(frozen=True)
class TableOfResults:
    """Fill the results table: every row on every pair and seed. A killed call goes on where it was."""

    folder: Path = Path("runs/table")
    """Folder for rows.jsonl and results.md."""
    filling: tyro.conf.OmitArgPrefixes[Filling] = field(default_factory=Filling)

    def __call__(self) -> None:
        """Fill what is missing, then write results.md."""
        closed, ask = PROTOCOLS["closed"], self.filling
        table = ask.table(
            self.folder,
            (closed,),
            () if ask.pairs else all_pairs(ask.source.folder(closed), ask.source.spelling, ask.source.known),
        )
        asked = (*BASELINES.values(), *TRAINED.values(), *variants("TPSNet, as printed"))
        rows, page = ask.fill(table, asked), self.folder / "results.md"
        ask.machines.write(page, results_markdown, rows)
        if coarse := ask.fill_coarse(table, asked):
            ask.machines.write(page, results_markdown, rows, coarse)
        ask.machines.end()


@dataclass(frozen=True)
class UniversalTable:
    """Fill the table of universal retrieval: frozen CLIP, TPSNet and UEM under several label spaces."""

    folder: Path = Path("runs/universal")
    """Folder for rows.jsonl and universal.md; a second call goes on."""
    protocols: tuple[Literal["closed", "partial", "open", "opda"], ...] = ("closed", "partial", "open")
    """Label spaces; the first domain of a pair queries the second."""
    ablation: bool = True
    """Also train UEM without its parts, and as printed, under open, with the first two seeds."""
    filling: tyro.conf.OmitArgPrefixes[Filling] = field(default_factory=Filling)

    def __call__(self) -> None:
        """Fill what is missing, then write universal.md."""
        if not self.protocols:
            raise InputError("--protocols needs at least one label space")
        ask, protocols = self.filling, tuple(PROTOCOLS[name] for name in self.protocols)
        pairs = (
            () if ask.pairs else chain(ask.source.folder(protocols[0]), ask.source.spelling, ask.source.known)
        )
        table = ask.table(self.folder, protocols, pairs)
        methods = variants("TPSNet, not trained", "TPSNet", "UEM")
        asked = (*BASELINES.values(), *methods)
        rows, page = ask.fill(table, asked), self.folder / "universal.md"
        few = {"protocols": (PROTOCOLS["open"],), "seeds": table.seeds[:2]}
        parts = (*UNIVERSAL.values(), *variants("UEM, as printed"))
        ablation = ask.fill(table, parts, **few) if self.ablation else None
        ask.machines.write(page, universal_markdown, rows, ablation)
        if coarse := ask.fill_coarse(table, asked):
            ask.machines.write(page, universal_markdown, rows, ablation, coarse)
        ask.machines.end()


@dataclass(frozen=True)
class ZeroShotTable:
    """Fill the table of zero-shot retrieval: trained on seen classes, queries of unseen ones."""

    folder: Path = Path("runs/zero-shot")
    """Folder for rows.jsonl and zero_shot.md; a second call goes on."""
    unseen: Path | None = None
    """Text file with the names of the unseen classes, one a line; by default those of the embedded images,
    or a quarter that the seed draws from your own."""
    ablation: bool = True
    """Also train CLAIR without its parts, and with true labels (the oracle, with the first seed)."""
    filling: tyro.conf.OmitArgPrefixes[Filling] = field(default_factory=Filling)

    def __call__(self) -> None:
        """Fill what is missing, then write zero_shot.md."""
        ask, protocol = self.filling, ZeroShot(unseen=_names(self.unseen))
        table = ask.table(
            self.folder,
            (protocol,),
            () if ask.pairs else chain(ask.source.folder(protocol), ask.source.spelling, ask.source.known),
        )
        one = {"seeds": table.seeds[:1]}
        asked = (*BASELINES.values(), *variants("CLAIR"))
        rows = ask.fill(table, asked)
        parts = None
        if self.ablation:
            parts = ask.fill(table, tuple(ZERO_SHOT.values())) + ask.fill(
                table, tuple(ORACLE.values()), **one
            )
        others = ask.fill(table, variants("TPSNet", "UEM"), **one)
        page = self.folder / "zero_shot.md"
        ask.machines.write(page, zero_shot_markdown, rows, parts, others)
        every = (*asked, *variants("CLAIR, not trained", "TPSNet", "UEM"))
        if coarse := ask.fill_coarse(table, every, protocols=(ZeroShot(),)):
            ask.machines.write(page, zero_shot_markdown, rows, parts, others, coarse)
        ask.machines.end()


def _names(file: Path | None) -> tuple[str, ...] | None:
    """The class names in a text file, if there is one."""
    return None if file is None else tuple(read_lines(file, "class names", "give a text file"))


def two_domains(text: str) -> tuple[str, str]:
    """What ``--pairs`` means by FIRST:SECOND."""
    first, colon, second = text.partition(":")
    if not (first and colon and second):
        raise InputError(f"--pairs {text}: write it as FIRST:SECOND, two domains")
    return first, second
