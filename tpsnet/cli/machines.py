"""Where rows are made, and what becomes of those that fail: options of every command that fills tables."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import tyro

from tpsnet.errors import Failure, InputError, RowsFailed
from tpsnet.escape import printable
from tpsnet.experiments import Table, fill
from tpsnet.io import write_text
from tpsnet.jobs import Cluster, default_workers, gpus
from tpsnet.report import with_missing
from tpsnet.settings import Positive, Settings


@dataclass(frozen=True)
class Machines(Settings):
    """Where rows are made."""

    workers: Positive | None = None
    """Processes that fill rows at the same time; by default up to 4 on a processor, and with --device cuda
    one on each GPU."""
    cluster: tyro.conf.OmitArgPrefixes[Cluster] = field(default_factory=Cluster)
    failures: list[Failure] = field(default_factory=list, init=False, repr=False, compare=False)

    def check(self) -> None:
        """Refuse what does not go together, before anything is loaded."""
        if self.workers and self.cluster.used:
            raise InputError("--workers is for this machine; on a cluster give --cluster-at-once")
        self.cluster.check()

    def fill(self, table: Table) -> list[dict]:
        """The rows of a table that could be made; ``end`` tells of the others."""
        self.check()
        device = table.source.device
        workers = self.workers or default_workers(device, gpus() if device == "cuda" else ())
        try:
            return fill(dataclasses.replace(table, workers=workers, cluster=self.cluster))
        except RowsFailed as error:
            self.failures.extend(f for f in error.failures if f not in self.failures)
            return error.results

    def write(self, file: Path, markdown: Callable[..., str], rows: list[dict], *others: object) -> None:
        """Write a page of the rows that are there, if any is; it says which are missing."""
        if rows:
            write_text(file, with_missing(markdown(rows, *others), self.failures))
            print(printable(f"wrote {file}"))

    def end(self) -> None:
        """Raise ``RowsFailed`` if rows have failed, once all pages are written."""
        if self.failures:
            raise RowsFailed(self.failures)
