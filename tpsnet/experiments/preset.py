"""A preset: all that takes a researcher to a paper's table on one data set, as a value in one file."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from tpsnet.experiments.experiment import Experiment
from tpsnet.experiments.protocols import Protocol, Universal
from tpsnet.experiments.source import Source
from tpsnet.experiments.table import Table
from tpsnet.experiments.variants import Variant
from tpsnet.report import published
from tpsnet.settings import Seed, Settings
from tpsnet.training import FitConfig

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Sweep(Settings):
    """Rows under protocols.

    Attributes:
        protocols: The protocols.
        rows: Baselines and methods, with their config for this data set.
        seeds: Seeds of the trained rows; where the protocol draws classes, of all rows.
        fit: How the loop trains.
        model: Another backbone than the preset's; its weights lie in a file, so that it takes no tag.
    """

    protocols: tuple[Protocol, ...]
    rows: tuple[Variant, ...]
    seeds: tuple[Seed, ...] = (0, 1, 2)
    fit: FitConfig = field(default_factory=FitConfig)
    model: str | None = None


@dataclass(frozen=True, kw_only=True)
class Preset(Settings):
    """A data set with weights, protocols, rows and what is known of the published figures.

    Attributes:
        title: What papers call the data set.
        source: Images and backbone.
        pair: The two domains that ``tpsnet train`` starts from.
        directions: The directions query → gallery that the field reports.
        sweeps: The rows with our settings.
        printed: The rows with a paper's own settings, if it prints any.
        split: Name of the data set's zero-shot split, for the published figures.
        receipt: Whose settings the rows have, and what our loop does otherwise than printed, in Markdown.
        notebooks: Whether ``tpsnet reproduce`` executes the notebooks too.
    """

    title: str
    source: Source
    pair: tuple[str, str]
    directions: Pairs
    sweeps: tuple[Sweep, ...]
    printed: Sweep | None = None
    split: str = ""
    receipt: tuple[str, ...] = ()
    notebooks: bool = False

    @property
    def every_sweep(self) -> tuple[Sweep, ...]:
        """Ours, then those as printed."""
        return (*self.sweeps, *filter(None, (self.printed,)))

    @property
    def protocols(self) -> tuple[str, ...]:
        """Names of all protocols."""
        return tuple(dict.fromkeys(p.name for sweep in self.every_sweep for p in sweep.protocols))

    def experiment(self, method: str | None = None, protocol: str | None = None) -> Experiment:
        """The experiment that ``tpsnet train`` starts from.

        The first sweep with a row of the method under the protocol decides on config, loop, seed and
        backbone. Where no sweep has both, it is one that has the method, or else the protocol.

        Args:
            method: Key of a method; by default that of the first row that trains.
            protocol: Name of a protocol; by default the first one of that sweep.
        """
        wanted = ((method, protocol), (method, None), (None, protocol), (None, None))
        return next(filter(None, (self._first(*names) for names in wanted)))

    def _first(self, method: str | None, protocol: str | None) -> Experiment | None:
        for sweep in self.every_sweep:
            for row in sweep.rows:
                for asked in sweep.protocols:
                    if protocol in (None, asked.name) and (row.method == method if method else row.trains):
                        source, seed = self.backbone_of(sweep), sweep.seeds[0]
                        return Experiment(self.pair, row.config, asked, sweep.fit, source, seed)
        return None

    def source_with(
        self,
        root: str | Path | None = None,
        model: str | None = None,
        pretrained: str | None = None,
        device: str | None = None,
    ) -> Source:
        """Images and backbone with what a user gives; what is empty is the preset's.

        A model that is given takes no tag but the one that is given with it.
        """
        changes = {"root": root and Path(root), "model": model, "device": device}
        changes = {name: value for name, value in changes.items() if value}
        if model or pretrained:
            changes["pretrained"] = pretrained or None
        return dataclasses.replace(self.source, **changes)

    def backbone_of(self, sweep: Sweep) -> Source:
        """Images with the backbone of a sweep."""
        if sweep.model is None:
            return self.source
        return dataclasses.replace(self.source, model=sweep.model, pretrained=None)

    def tables(self, sweep: Sweep, folder: Path) -> list[Table]:
        """The tables that fill a sweep, one a protocol: pairs are those that its directions take.

        Under a protocol that scores both ways a pair is trained once; where the first domain alone queries,
        each direction is a pair of its own.
        """
        return [
            Table(
                folder,
                self.backbone_of(sweep),
                self.directions if isinstance(protocol, Universal) else unordered(self.directions),
                sweep.seeds,
                sweep.rows,
                (protocol,),
                sweep.fit,
            )
            for protocol in sweep.protocols
        ]

    def figures(self) -> pd.DataFrame:
        """The published figures of data set and split under these protocols, see ``report.published``."""
        found = published(self.source.dataset or "none")
        return found[(found["split"] == self.split) & found["protocol"].isin(self.protocols)]


def unordered(directions: Sequence[tuple[str, str]]) -> Pairs:
    """Each two domains once, in the order in which they come first."""
    seen: dict[frozenset[str], tuple[str, str]] = {}
    for pair in directions:
        seen.setdefault(frozenset(pair), pair)
    return tuple(seen.values())
