"""The commands that fill tables. What they need is imported inside them, after the start-up check."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from tpsnet.cli.source import Setting, Source
from tpsnet.types import InputError

if TYPE_CHECKING:
    from tpsnet.table import TableConfig


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
        from tpsnet.notebooks import run_all

        run_all(self.notebooks, self.run)
        Table(self.run, self.pairs, seeds=(0,), switches=False)()


@dataclass(frozen=True)
class Table:
    """Fill the results table: every row on every pair and seed. A killed call goes on where it was."""

    folder: Path = Path("runs/table")
    """Folder for rows.jsonl and results.md."""
    pairs: tuple[str, ...] = ()
    """Pairs of domains as FIRST:SECOND; all pairs of the folder by default."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of the trained rows."""
    switches: bool = True
    """Also show what TPSNet's other switches do, on the first two pairs with the first seed."""
    workers: int | None = None
    """Processes that fill rows at the same time; on a processor up to 4, on a GPU 1 by default."""
    keep: bool = False
    """Also keep the embeddings, a folder for each pair and seed, for notebook 8."""
    source: tyro.conf.OmitArgPrefixes[Source] = field(default_factory=Source)

    def __call__(self) -> None:
        """Fill what is missing, then write results.md."""
        from tpsnet.recipes import SWITCHES
        from tpsnet.report import results_markdown, write_page
        from tpsnet.table import all_pairs, fill_table

        if self.source.is_moco:
            raise InputError(
                "this table is of methods that need a CLIP; tpsnet universal has rows for moco:FILE"
            )
        pairs = tuple(_pair(text) for text in self.pairs) or all_pairs(self.source.where())
        cfg = _table(self, self.source, pairs)
        rows = fill_table(cfg)
        few = replace(cfg, pairs=pairs[:2], seeds=self.seeds[:1], names=("TPSNet", *SWITCHES))
        page = results_markdown(rows, fill_table(few) if self.switches else None)
        write_page(page, self.folder / "results.md")
        print(f"wrote {self.folder / 'results.md'}")


@dataclass(frozen=True)
class Universal:
    """Fill the table of universal retrieval: frozen CLIP, TPSNet and UEM under several label spaces."""

    folder: Path = Path("runs/universal")
    """Folder for rows.jsonl and universal.md; a second call goes on."""
    pairs: tuple[str, ...] = ()
    """Pairs as QUERY:GALLERY; by default each domain of the folder asks the next."""
    settings: tuple[Setting, ...] = ("closed", "partial", "open")
    """Label spaces."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Of training and of the classes drawn; UEM's ablation takes the first two."""
    ablation: bool = True
    """Also train UEM without its parts, under open."""
    workers: int | None = None
    """Processes that fill rows at the same time; on a processor up to 4, on a GPU 1 by default."""
    keep: bool = False
    """Also keep the embeddings, a folder for each pair and seed, for notebook 8."""
    source: tyro.conf.OmitArgPrefixes[Source] = field(default_factory=Source)

    def __call__(self) -> None:
        """Fill what is missing, then write universal.md."""
        from tpsnet.recipes import FLOORS, UNIVERSAL
        from tpsnet.report import universal_markdown, write_page
        from tpsnet.table import chain, fill_table

        if not self.settings:
            raise InputError("--settings needs at least one label space")
        pairs = tuple(_pair(text) for text in self.pairs) or chain(self.source.where())
        cfg = _table(self, self.source, pairs)
        names = (*FLOORS, *(() if self.source.is_moco else ("TPSNet",)), "UEM")  # TPSNet needs texts
        rows = fill_table(replace(cfg, names=names, settings=self.settings))
        few = replace(cfg, names=tuple(UNIVERSAL), settings=("open",), seeds=self.seeds[:2])
        page = universal_markdown(rows, fill_table(few) if self.ablation else None)
        write_page(page, self.folder / "universal.md")
        print(f"wrote {self.folder / 'universal.md'}")


@dataclass(frozen=True)
class ZeroShot:
    """Fill the table of zero-shot retrieval: trained on seen classes, asked with unseen ones."""

    folder: Path = Path("runs/zero-shot")
    """Folder for rows.jsonl and zero_shot.md; a second call goes on."""
    pairs: tuple[str, ...] = ()
    """Pairs as FIRST:SECOND; by default each domain of the folder with the next."""
    unseen: Path | None = None
    """Text file with the names of the unseen classes, one a line; by default those of the embedded pictures,
    or a quarter that the seed draws from your own."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Of training; of the classes too where they are drawn. The headroom, TPSNet and UEM take the first."""
    ablation: bool = True
    """Also train CLAIR without its parts, and with true labels."""
    workers: int | None = None
    """Processes that fill rows at the same time; on a processor up to 4, on a GPU 1 by default."""
    keep: bool = False
    """Also keep the embeddings, a folder for each pair and seed, for notebook 8."""
    source: tyro.conf.OmitArgPrefixes[Source] = field(default_factory=Source)

    def __call__(self) -> None:
        """Fill what is missing, then write zero_shot.md."""
        from tpsnet.data import embedded_root, embedded_unseen
        from tpsnet.evaluation.zero_shot import SETTING
        from tpsnet.recipes import FLOORS, HEADROOM, ZERO_SHOT
        from tpsnet.report import write_page, zero_shot_markdown
        from tpsnet.table import chain, fill_table

        source, unseen = self.source, _names(self.unseen)
        if source.root is None:
            source, unseen = replace(source, root=embedded_root(further=True)), unseen or embedded_unseen()
        pairs = tuple(_pair(text) for text in self.pairs) or chain(source.where())
        cfg = replace(
            _table(self, source, pairs),
            settings=(SETTING,),
            unseen=unseen,
        )
        clip = not source.is_moco
        few = replace(cfg, seeds=self.seeds[:1])
        rows = fill_table(replace(cfg, names=(*FLOORS, *(("CLAIR",) if clip else ()))))
        parts = None
        if self.ablation and clip:
            parts = fill_table(replace(cfg, names=tuple(ZERO_SHOT)))
            parts += fill_table(replace(few, names=tuple(HEADROOM)))
        others = ("TPSNet", "UEM") if clip else ("UEM",)
        page = zero_shot_markdown(rows, parts, fill_table(replace(few, names=others)))
        write_page(page, self.folder / "zero_shot.md")
        print(f"wrote {self.folder / 'zero_shot.md'}")


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


def _table(
    asked: Table | Universal | ZeroShot, source: Source, pairs: tuple[tuple[str, str], ...]
) -> "TableConfig":
    """What the tables share."""
    from joblib import cpu_count

    from tpsnet.table import TableConfig

    if not (asked.seeds and (asked.workers is None or asked.workers > 0)):
        raise InputError("--seeds needs at least one seed, and --workers at least 1")
    return TableConfig(
        asked.folder,
        source.where(),
        pairs,
        asked.seeds,
        source.clip(),
        source.pretrained,
        source.device,
        workers=asked.workers or (min(4, cpu_count()) if source.device == "cpu" else 1),
        keep=asked.keep,
    )


def _pair(text: str) -> tuple[str, str]:
    first, colon, second = text.partition(":")
    if not (first and colon and second):
        raise InputError(f"--pairs {text}: write it as FIRST:SECOND, two domains")
    return first, second
