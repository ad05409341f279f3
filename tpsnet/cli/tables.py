"""The commands that fill tables and write their pages."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import tyro
from joblib import cpu_count

from tpsnet.cli.notebooks import run_all
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
    fill,
    variants,
)
from tpsnet.io import write_text
from tpsnet.report import results_markdown, universal_markdown, zero_shot_markdown


@dataclass(frozen=True)
class Filling:
    """The options that all tables share."""

    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of the trained rows, and of classes where the protocol draws them."""
    pairs: tuple[str, ...] = ()
    """Pairs of domains as FIRST:SECOND; by default all that the table is made for."""
    workers: int | None = None
    """Processes that fill rows at the same time; on a processor up to 4, on a GPU 1 by default."""
    keep: bool = False
    """Also keep the embeddings, a folder for each pair and seed, for notebook 8."""
    coarse: bool = True
    """Also fill a second table of the embedded images in nine large classes, on the first two pairs."""
    source: tyro.conf.OmitArgPrefixes[Source] = field(default_factory=Source)

    def table(
        self, folder: Path, protocols: tuple[Protocol, ...], pairs: tuple[tuple[str, str], ...]
    ) -> Table:
        """The table without its variants, on the pairs that the user names, else on the given ones."""
        if not (self.seeds and (self.workers is None or self.workers > 0)):
            raise InputError("--seeds needs at least one seed, and --workers at least 1")
        asked = tuple(map(_pair, self.pairs)) or pairs
        workers = self.workers or (min(4, cpu_count()) if self.source.device == "cpu" else 1)
        return Table(folder, self.source, asked, self.seeds, (), protocols, workers=workers, keep=self.keep)

    def fill(self, table: Table, rows: tuple[Variant, ...], **changes: object) -> list[dict]:
        """The rows of some variants, those left out that the backbone cannot serve."""
        moco = self.source.model.startswith("moco:")
        return fill(
            dataclasses.replace(
                table, variants=tuple(v for v in rows if not (moco and v.needs_clip)), **changes
            )
        )

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
        table = ask.table(self.folder, (closed,), () if ask.pairs else all_pairs(ask.source.folder(closed)))
        asked = (*BASELINES.values(), *TRAINED.values(), *variants("TPSNet, as printed"))
        rows, page = ask.fill(table, asked), self.folder / "results.md"
        _write(page, results_markdown(rows))
        if coarse := ask.fill_coarse(table, asked):
            _write(page, results_markdown(rows, coarse))


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
        pairs = () if ask.pairs else chain(ask.source.folder(protocols[0]))
        table = ask.table(self.folder, protocols, pairs)
        methods = variants("TPSNet, not trained", "TPSNet", "UEM")
        asked = (*BASELINES.values(), *methods)
        rows, page = ask.fill(table, asked), self.folder / "universal.md"
        few = {"protocols": (PROTOCOLS["open"],), "seeds": table.seeds[:2]}
        parts = (*UNIVERSAL.values(), *variants("UEM, as printed"))
        ablation = ask.fill(table, parts, **few) if self.ablation else None
        _write(page, universal_markdown(rows, ablation))
        if coarse := ask.fill_coarse(table, asked):
            _write(page, universal_markdown(rows, ablation, coarse))


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
        table = ask.table(self.folder, (protocol,), () if ask.pairs else chain(ask.source.folder(protocol)))
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
        _write(page, zero_shot_markdown(rows, parts, others))
        every = (*asked, *variants("CLAIR, not trained", "TPSNet", "UEM"))
        if coarse := ask.fill_coarse(table, every, protocols=(ZeroShot(),)):
            _write(page, zero_shot_markdown(rows, parts, others, coarse))


@dataclass(frozen=True)
class Reproduce:
    """Execute the notebooks in order, then fill the table's rows on two pairs with one seed."""

    run: Path = Path("runs/reproduce")
    """Folder for the executed notebooks and results.md; a second call with the same folder goes on."""
    notebooks: Path = Path("notebooks")
    """Folder of the notebooks."""
    pairs: tuple[str, ...] = ("line:shaded", "flat:rendered")
    """Pairs of domains for the table."""

    def __call__(self) -> None:
        """Run everything; progress on stdout."""
        run_all(self.notebooks, self.run)
        TableOfResults(self.run, filling=Filling(seeds=(0,), pairs=self.pairs, coarse=False))()


def _write(file: Path, page: str) -> None:
    write_text(file, page)
    print(f"wrote {file}")


def _names(file: Path | None) -> tuple[str, ...] | None:
    """Lines of a text file that are not empty."""
    if file is None:
        return None
    try:
        found = tuple(line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read class names from {file} ({error}); give a text file") from None
    if not found:
        raise InputError(f"{file} holds no class name; write one a line")
    return found


def _pair(text: str) -> tuple[str, str]:
    first, colon, second = text.partition(":")
    if not (first and colon and second):
        raise InputError(f"--pairs {text}: write it as FIRST:SECOND, two domains")
    return first, second
