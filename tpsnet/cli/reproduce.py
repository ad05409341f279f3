"""``tpsnet reproduce``: a preset's rows, beside the figures that papers print of the same images."""

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from tpsnet.cli.machines import Machines
from tpsnet.cli.notebooks import run_all
from tpsnet.cli.tables import Filling, TableOfResults, two_domains
from tpsnet.data import compared, embedded_root, image_folder, load_images, write_shape
from tpsnet.errors import Failure, InputError
from tpsnet.escape import escape_markdown, printable
from tpsnet.experiments import PROTOCOLS, Preset, Source, Sweep
from tpsnet.io import write_text
from tpsnet.paths import user_path
from tpsnet.presets import DEFAULT, NAMES, load_preset, preset_name
from tpsnet.report import reproduction, reproduction_latex, reproduction_markdown, with_missing
from tpsnet.settings import Seed, Settings
from tpsnet.types import Domain

log = logging.getLogger("tpsnet")


@dataclass(frozen=True)
class Reproduce(Settings):
    """Fill a preset's rows and write them beside the published figures. A second call goes on.

    Without a name: execute the notebooks on the embedded drawings, then fill the rows of two pairs.
    """

    preset: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="|".join(NAMES))] = DEFAULT
    """The data set with its rows."""
    root: Path | None = None
    """The folder that the data set lies in."""
    run: Path | None = None
    """Folder for rows.jsonl and results.md, .csv and .tex; by default runs/PRESET, and runs/reproduce without
    a name."""
    pairs: tuple[str, ...] = ()
    """Directions as QUERY:GALLERY; by default those that the field reports."""
    protocols: tuple[Literal[tuple(PROTOCOLS)], ...] = ()
    """Some of the preset's protocols."""
    rows: tuple[str, ...] = ()
    """Some of the preset's rows, by name."""
    seeds: tuple[Seed, ...] = ()
    """Other seeds than the preset's."""
    model: str | None = None
    """Another CLIP than the preset's: an open_clip name, local-dir:FOLDER, or embedded for a trial."""
    pretrained: str | None = None
    """Its pretrained tag or weights file."""
    moco: Path | None = None
    """The MoCo-v2 checkpoint for the rows as UEM prints them; without one they are left out."""
    device: str | None = None
    """Where to compute; cuda for all but the embedded drawings."""
    few: bool = False
    """Five images a class, for a trial; published figures are left out then."""
    any_count: bool = False
    """Take a download as it is, though it is not whole; published figures are left out then."""
    notebooks: Path = Path("notebooks")
    """Folder of the notebooks."""
    machines: tyro.conf.OmitArgPrefixes[Machines] = field(default_factory=Machines)

    def __call__(self) -> None:
        """Run everything; progress on stdout."""
        name = preset_name(self.preset)
        preset = load_preset(name)
        folder = self.run or Path("runs") / ("reproduce" if preset.notebooks else name)
        if preset.notebooks:
            self._embedded(preset, name, folder)
            return
        asked = self._asked(preset)
        names = _domains(asked)
        # A later call may ask for other pairs: the tree of few images holds all domains that are there.
        domains, whole = self._images(asked.source, _domains(preset) if self.few else names, names)
        if self.few:
            asked = dataclasses.replace(asked, source=_few(asked.source, domains, folder, names))
        resizes = dict.fromkeys(asked.backbone_of(sweep).backbone().resize for sweep in asked.every_sweep)
        domains = image_folder(asked.source.root, names, dataset=asked.source.known)
        for resize in resizes:
            self._decode(domains, resize)
        self.machines.check()
        every = (table for sweep in asked.every_sweep for table in asked.tables(sweep, folder))
        rows = [row for table in every for row in self.machines.fill(table)]
        if rows:
            _pages(folder, preset, asked, rows, self.machines.failures, comparable=whole and not self.few)
        self.machines.end()

    def _embedded(self, preset: Preset, name: str, folder: Path) -> None:
        """The notebooks, then the table on two pairs."""
        own = ("run", "pairs", "notebooks", "preset", "machines")
        fields = {f.name: f.default for f in dataclasses.fields(self) if f.name not in own}
        if other := [f for f, default in fields.items() if getattr(self, f) != default]:
            option = other[0].replace("_", "-")
            raise InputError(f"{name} is made with the embedded drawings and CLIP: leave out --{option}")
        directions = dict.fromkeys(map(tuple, map(sorted, preset.directions)))
        pairs = self.pairs or tuple(":".join(pair) for pair in directions)
        (seeds,) = (sweep.seeds for sweep in preset.sweeps)
        filling = Filling(seeds=seeds, pairs=pairs, coarse=False, machines=self.machines)
        table = TableOfResults(folder, filling=filling)
        for pair in map(two_domains, pairs):  # the notebooks take minutes
            image_folder(embedded_root(), pair)
        run_all(self.notebooks, folder)
        table()

    def _asked(self, preset: Preset) -> Preset:
        """The preset with what the options change."""
        source = preset.source_with(self.root, self.model, self.pretrained, self.device)
        pairs = tuple(source.names(two_domains(pair)) for pair in self.pairs) or preset.directions
        known = {row.name for sweep in preset.every_sweep for row in sweep.rows}
        for kind, names, there in (("row", self.rows, known), ("protocol", self.protocols, preset.protocols)):
            if missing := [name for name in names if name not in there]:
                known = "; ".join(dict.fromkeys(map(str, there)))
                raise InputError(f"{preset.title}: no {kind} {missing[0]!r}; there are {known}")
        sweeps = tuple(filter(None, map(self._part, preset.sweeps)))
        printed = preset.printed and self._part(preset.printed)
        if printed and printed.model:
            printed = self._with_weights(printed)
        if not (sweeps or printed):
            raise InputError(f"{preset.title}: none of these rows is made under these protocols")
        return dataclasses.replace(preset, source=source, directions=pairs, sweeps=sweeps, printed=printed)

    def _part(self, sweep: Sweep) -> Sweep | None:
        """What is asked for of a sweep."""
        rows = tuple(row for row in sweep.rows if not self.rows or row.name in self.rows)
        protocols = tuple(p for p in sweep.protocols if not self.protocols or p.name in self.protocols)
        if not (rows and protocols):
            return None
        seeds = self.seeds or sweep.seeds
        return dataclasses.replace(sweep, rows=rows, protocols=protocols, seeds=seeds)

    def _with_weights(self, sweep: Sweep) -> Sweep | None:
        """The rows as printed, where their checkpoint is there."""
        if self.moco:
            return dataclasses.replace(sweep, model=f"moco:{self.moco}")
        file = user_path(sweep.model.partition(":")[2])
        if file.is_file():
            return sweep
        names = ", ".join(row.name for row in sweep.rows)
        log.warning("left out, for want of --moco %s: %s", file, names)
        return None

    def _images(
        self, source: Source, names: Sequence[str], needed: Sequence[str]
    ) -> tuple[dict[str, Domain], bool]:
        """The domains of these names that are there, and whether they are the published ones."""
        dataset = source.known
        found, differ = compared(dataset, source.root, names)
        if gone := [name for name in needed if name not in found]:
            raise InputError(f"{source.root}: no domain {gone[0]!r} of {dataset.title}; {dataset.source}")
        if differ.lacking and not (self.any_count or self.few):
            raise InputError(
                f"{source.root}: this {dataset.title} is not whole, see above; {dataset.source}, or try "
                "with --any-count"
            )
        return found, not differ.lacking

    def _decode(self, domains: Mapping[str, Domain], resize: object) -> None:
        """Decode once, before any row; what cannot be read is named."""
        lost = 0
        for domain in domains.values():
            kept, _ = load_images(domain, resize)
            print(printable(f"{domain.name}: {len(kept)} images"), flush=True)
            lost += len(domain) - len(kept)
        if lost and not self.any_count:
            raise InputError(f"{lost} images cannot be used; mend those named above, or try with --any-count")


def _domains(preset: Preset) -> list[str]:
    return list(dict.fromkeys(name for pair in preset.directions for name in pair))


def _few(source: Source, domains: Mapping[str, Domain], folder: Path, needed: Sequence[str]) -> Source:
    """Links to five images a class, made once."""
    root = folder / "images"
    if not root.exists():
        write_shape(dict(domains), root, "few")
    first = next(root.glob("*/*/*"))
    if not first.resolve().is_relative_to(user_path(source.root).resolve()):
        raise InputError(f"{root} holds links to images of another folder; remove it or choose another --run")
    if gone := [name for name in needed if not (root / name).is_dir()]:
        raise InputError(f"{root} was made without {gone[0]}; remove it or choose another --run")
    return dataclasses.replace(source, root=root)


def _pages(
    folder: Path,
    preset: Preset,
    asked: Preset,
    rows: Sequence[dict],
    failures: Sequence[Failure],
    *,
    comparable: bool,
) -> None:
    """Write results.md, results.csv and results.tex."""
    figures = preset.figures()
    figures = figures[figures["protocol"].isin({row["protocol"] for row in rows})]
    weights = dict.fromkeys(
        " ".join(filter(None, (source.model, source.pretrained)))
        for source in map(asked.backbone_of, asked.every_sweep)
    )
    notes = [f"Weights: {escape_markdown('; '.join(weights))}.", *preset.receipt]
    every = dict.fromkeys(row.name for sweep in preset.every_sweep for row in sweep.rows)
    if missing := [name for name in every if name not in {row["name"] for row in rows}]:
        notes.append(f"Not run: {'; '.join(missing)}.")
    if not comparable:
        figures = figures[:0]
        notes.insert(0, "**These images are not the published ones, so no published figure is beside them.**")
    reported = {name: [" → ".join(pair) for pair in preset.directions] for name in preset.protocols}
    frame = reproduction(rows, figures, reported)
    page = reproduction_markdown(preset.title, frame, rows, figures, reported, notes)
    pages = {"csv": frame.to_csv(index=False), "tex": reproduction_latex(frame, reported)}
    for kind, text in (pages | {"md": with_missing(page, failures)}).items():
        write_text(folder / f"results.{kind}", text)
        print(printable(f"wrote {folder / f'results.{kind}'}"))
