"""What the papers print, from ``published.json``: each figure with its source and what differs there."""

from pathlib import Path

import pandas as pd

from tpsnet.evaluation import in_order
from tpsnet.io import read_json
from tpsnet.report.parts import with_any_names

TOLD = ("dataset", "split", "protocol", "source", "backbone", "settings", "hours", "gpu")


@with_any_names
def published(dataset: str | None = None, protocol: str | None = None) -> pd.DataFrame:
    """One line per figure: name, direction, metric, value, and what its paper tells of it.

    What is told: ``dataset`` and ``split`` as in ``data.DATASETS``, ``protocol``, ``source``, ``backbone``,
    ``settings`` (whose they are), ``hours`` and ``gpu`` of a run (empty where not printed), and ``differs``.
    A value that is not known is NaN. The direction "mean" is over all directions that the paper prints.

    Args:
        dataset: The data set whose figures are asked for; by default of all.
        protocol: The protocol likewise.
    """
    entries = read_json(Path(__file__).with_name("published.json"))["published"]
    lines = [
        {"name": name, "direction": direction, "metric": metric, "value": value}
        | {told: entry[told] for told in TOLD}
        | {"differs": "; ".join(filter(None, (entry["data"], entry["backbone"], entry["differs"])))}
        for entry in entries
        for name, directions in entry["figures"].items()
        for direction, metrics in directions.items()
        for metric, value in metrics.items()
        if dataset in (None, entry["dataset"]) and protocol in (None, entry["protocol"])
    ]
    columns = ("name", "direction", "metric", "value", *TOLD, "differs")
    return pd.DataFrame(lines, columns=columns).astype({"value": float})


def sources(figures: pd.DataFrame) -> str:
    """Where figures come from, and what differs there."""
    return "\n\n".join((figures["source"] + ": " + figures["differs"] + ".").unique())


def wide(figures: pd.DataFrame, row: str) -> pd.DataFrame:
    """Figures with metrics as columns, and with the column ``row`` as rows."""
    cells = figures.set_index([row, "metric"])["value"].unstack(sort=False)
    return cells[in_order(cells.columns)]
