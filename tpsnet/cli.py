"""The command line: ``tpsnet prepare | train | run | reproduce | table | universal``.

What the user can mend ends in one line and exit code 2.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from tpsnet.notebooks import NotebookFailed, run_notebook
from tpsnet.startup import check_installation
from tpsnet.types import InputError

if TYPE_CHECKING:
    from tpsnet.table import TableConfig

Setting = Literal["closed", "partial", "open", "opda"]

# Rooms that import torchvision or faiss are imported inside the commands: after the start-up check, which
# else came too late to name a broken installation.


@dataclass(frozen=True)
class Run:
    """Execute a notebook with papermill, its parameters checked first."""

    notebook: tyro.conf.Positional[Path]
    """The notebook to run, in its own folder."""
    output: tyro.conf.Positional[Path]
    """The executed notebook; written only when it has run to its end."""
    parameters: Annotated[
        tuple[str, ...], tyro.conf.arg(aliases=["-p"], metavar="NAME=VALUE"), tyro.conf.UseAppendAction
    ] = ()
    """A value for a name of the parameters cell; may be repeated."""

    def __call__(self) -> None:
        """Run it."""
        run_notebook(self.notebook, self.output, dict(_split(text) for text in self.parameters))


@dataclass(frozen=True)
class Prepare:
    """Decode a picture folder (root/domain/class/picture) into the cache, and check every picture."""

    root: tyro.conf.Positional[Path]
    """The folder that holds the domains."""
    size: int = 224
    """Side of the decoded pictures in pixels: the image size of the CLIP to be used."""

    def __call__(self) -> None:
        """Print the counts of each domain; unreadable pictures are named one a line, and are an error."""
        from tpsnet.data import image_folder, load_images

        if self.size < 1:
            raise InputError(f"--size {self.size}: give a positive number of pixels")
        skipped = 0
        for domain in image_folder(self.root).values():
            kept, _ = load_images(domain, self.size)
            n_classes = len(domain.labels.unique())
            print(f"{domain.name}: {len(kept)} pictures of {n_classes} classes", flush=True)
            skipped += len(domain) - len(kept)
        if skipped:
            raise InputError(
                f"{self.root}: {skipped} pictures cannot be used; mend or remove those named above"
            )


@dataclass(frozen=True)
class Source:
    """Pictures and CLIP; the embedded ones unless told otherwise."""

    root: Path | None = None
    """Folder of domains (root/domain/class/picture); the embedded pictures by default."""
    model: str | None = None
    """open_clip name, or local-dir:FOLDER; the embedded CLIP by default."""
    pretrained: str | None = None
    """Pretrained tag (downloads) or weights file of a named CLIP."""
    device: str = "cpu"
    """Where to compute, e.g. cuda."""

    def where(self) -> Path:
        """The picture folder."""
        from tpsnet.data import embedded_root

        return self.root or embedded_root()

    def clip(self) -> str:
        """The CLIP's address."""
        from tpsnet.backbone import embedded_clip

        return self.model or embedded_clip()


@dataclass(frozen=True)
class Train:
    """Train on two domains; scores before and after, weights and embeddings in the run folder."""

    first: tyro.conf.Positional[str]
    """One domain."""
    second: tyro.conf.Positional[str]
    """The other domain."""
    run: tyro.conf.Positional[Path]
    """Folder for log, checkpoint, embeddings and scores."""
    method: Literal["TPSNet", "UEM"] = "TPSNet"
    """What to train."""
    setting: Setting | None = None
    """Label spaces, drawn by the seed: the first domain asks, the second answers; by default all classes of
    both, scored in both directions."""
    resume: bool = False
    """Go on from the folder's checkpoint."""
    seed: int = 0
    """Of label spaces, clusters, weights, batches and augmentation."""
    source: tyro.conf.OmitArgPrefixes[Source] = Source()

    def __call__(self) -> None:
        """Train, embed and score."""
        from tpsnet.experiment import train_pair

        source = self.source
        train_pair(
            source.where(),
            (self.first, self.second),
            self.run,
            model=source.clip(),
            pretrained=source.pretrained,
            device=source.device,
            name=self.method,
            setting=self.setting,
            seed=self.seed,
            resume=self.resume,
        )


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
    source: tyro.conf.OmitArgPrefixes[Source] = Source()

    def __call__(self) -> None:
        """Fill what is missing, then write results.md."""
        from tpsnet.experiment import SWITCHES
        from tpsnet.report import results_markdown, write_page
        from tpsnet.table import all_pairs, fill_table

        pairs = tuple(_pair(text) for text in self.pairs) or all_pairs(self.source.where())
        cfg = _table(self.source, self.folder, pairs, self.seeds, self.workers)
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
    """Of training and of the classes drawn."""
    workers: int | None = None
    """Processes that fill rows at the same time; on a processor up to 4, on a GPU 1 by default."""
    source: tyro.conf.OmitArgPrefixes[Source] = Source()

    def __call__(self) -> None:
        """Fill what is missing, then write universal.md."""
        from tpsnet.experiment import FLOORS, UNIVERSAL
        from tpsnet.report import universal_markdown, write_page
        from tpsnet.table import chain, fill_table

        if not self.settings:
            raise InputError("--settings needs at least one label space")
        pairs = tuple(_pair(text) for text in self.pairs) or chain(self.source.where())
        cfg = _table(self.source, self.folder, pairs, self.seeds, self.workers)
        rows = fill_table(replace(cfg, names=(*FLOORS, "TPSNet", "UEM"), settings=self.settings))
        ablation = fill_table(replace(cfg, names=tuple(UNIVERSAL), settings=("open",)))
        write_page(universal_markdown(rows, ablation), self.folder / "universal.md")
        print(f"wrote {self.folder / 'universal.md'}")


def main(argv: Sequence[str] | None = None) -> int:
    """Parse ``argv``, check the installation, run the command; returns the exit code."""
    command = tyro.cli(Prepare | Train | Run | Reproduce | Table | Universal, prog="tpsnet", args=argv)
    try:
        check_installation()
        command()
    except InputError as error:
        print(f"tpsnet: {error}", file=sys.stderr)
        return 2
    except NotebookFailed as error:
        print(f"tpsnet: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("tpsnet: interrupted", file=sys.stderr)
        return 130
    return 0


def _table(
    source: Source,
    folder: Path,
    pairs: tuple[tuple[str, str], ...],
    seeds: tuple[int, ...],
    workers: int | None,
) -> "TableConfig":
    """What the two tables share."""
    from joblib import cpu_count

    from tpsnet.table import TableConfig

    if not (seeds and (workers is None or workers > 0)):
        raise InputError("--seeds needs at least one seed, and --workers at least 1")
    return TableConfig(
        folder,
        source.where(),
        pairs,
        seeds,
        source.clip(),
        source.pretrained,
        source.device,
        workers=workers or (min(4, cpu_count()) if source.device == "cpu" else 1),
    )


def _pair(text: str) -> tuple[str, str]:
    first, colon, second = text.partition(":")
    if not (first and colon and second):
        raise InputError(f"--pairs {text}: write it as FIRST:SECOND, two domains")
    return first, second


def _split(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise InputError(f"-p {text}: write it as name=value")
    return name, value


if __name__ == "__main__":
    sys.exit(main())
