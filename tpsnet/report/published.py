"""What the papers print, from ``published.json``: each figure with its source and what differs there."""

from pathlib import Path

import pandas as pd

from tpsnet.evaluation import in_order
from tpsnet.io import read_json


def published() -> pd.DataFrame:
    """One line per figure: name, direction ("mean" over all), metric, value, protocol, source, differs.

    A value that is not known is NaN.
    """
    entries = read_json(Path(__file__).with_name("published.json"))["published"]
    lines = [
        {"name": name, "direction": direction, "metric": metric, "value": value}
        | {"protocol": entry["protocol"], "source": entry["source"]}
        | {"differs": "; ".join(filter(None, (entry["data"], entry["backbone"], entry["differs"])))}
        for entry in entries
        for name, directions in entry["figures"].items()
        for direction, metrics in directions.items()
        for metric, value in metrics.items()
    ]
    return pd.DataFrame(lines).astype({"value": float})


def sources(figures: pd.DataFrame) -> str:
    """Where figures come from, and what differs there."""
    return "\n\n".join((figures["source"] + ": " + figures["differs"] + ".").unique())


def wide(figures: pd.DataFrame, row: str) -> pd.DataFrame:
    """Figures with metrics as columns, and with the column ``row`` as rows."""
    cells = figures.set_index([row, "metric"])["value"].unstack(sort=False)
    return cells[in_order(cells.columns)]
