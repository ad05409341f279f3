"""The form of a row of results, in ``rows.jsonl`` of a table and in ``scores.json`` of a run."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field

from tpsnet.evaluation import ProtocolCard
from tpsnet.io import read_json, validated

Metrics = dict[str, float | None]


class Direction(BaseModel):
    """Queries of one domain to a gallery of the other."""

    query: str
    gallery: str
    kind: str
    metrics: Metrics
    reranked: dict[str, Metrics]
    card: dict[str, Any]


class Row(BaseModel):
    """A method on a pair of domains under a protocol, with one seed; further fields are not read."""

    name: str
    seed: int
    pair: tuple[str, str]
    protocol: str
    directions: Annotated[list[Direction], Field(min_length=1)]
    machine: str


class Scores(BaseModel):
    """``scores.json``."""

    rows: Annotated[list[dict[str, Any]], Field(min_length=1)]


def read_scores(path: Path) -> list[dict]:
    """The rows of a run's ``scores.json``.

    Raises:
        InputError: the file is missing or damaged; see ``check_row``.
    """
    rows = read_json(path, Scores).rows
    for row in rows:
        check_row(row, path)
    return rows


def check_row(row: dict, path: Path) -> None:
    """Refuse a row that no page can be made of.

    Args:
        row: The row.
        path: The file that it comes from, for the message.

    Raises:
        InputError: names the first value that is missing or of another type.
    """
    mend = "remove the row or restore the file"
    found: Row = validated(Row, row, path, "row", mend)
    for number, direction in enumerate(found.directions):
        validated(ProtocolCard, direction.card, path, f"row.directions.{number}.card", mend)
