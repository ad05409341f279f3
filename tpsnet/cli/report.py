"""``tpsnet report``: finished runs as one HTML file."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from tpsnet.errors import InputError
from tpsnet.escape import printable
from tpsnet.experiments.report import write_report


@dataclass(frozen=True)
class Report:
    """Write one HTML file about finished runs: scores, curves, rankings, failures, maps, configuration."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """The run folders; several are compared."""
    output: Path | None = None
    """The file; by default report.html in the first run folder."""

    def __call__(self) -> None:
        """Write it, and say where."""
        if not self.runs:
            raise InputError("report takes at least one run folder")
        output = self.output or self.runs[0] / "report.html"
        write_report(self.runs, output)
        size = f"{output.stat().st_size / 1e6:.1f} MB"
        print(printable(f"wrote {output} ({size}, opens without a network)"))
