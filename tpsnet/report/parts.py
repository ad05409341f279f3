"""What the pages of results are made of: rows as a data frame, means, tables, protocol and versions."""

import platform
import subprocess
from collections.abc import Collection, Iterable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from tpsnet.escape import escape_markdown
from tpsnet.evaluation import ProtocolCard, in_order

AS_EMBEDDED = "as embedded"
WHICH = ("name", "trained", "seed", "pair", "protocol", "query", "gallery", "kind")
COLUMNS = (*WHICH, "ranking", "metric", "value")

# Stands above what makes frames out of names; what is made of those frames keeps their storage. Where pyarrow
# is installed pandas would keep texts in Arrow, which has no names that are no UTF-8.
with_any_names = pd.option_context("mode.string_storage", "python")


@with_any_names
def tidy(rows: Iterable[dict]) -> pd.DataFrame:
    """One line for each value of each row, direction and ranking.

    Args:
        rows: Rows that a table returns, see ``experiments``.

    Returns:
        ``COLUMNS`` in the order of the rows. Values are in percent, null ones NaN; a pair is "line ↔ flat"; a
        ranking is "as embedded", or "re-ranked by" the rule's name.
    """
    lines = []
    for row in rows:
        pair = " ↔ ".join(row["pair"])
        for d in row["directions"]:
            trained = bool(d["card"]["seeds"])
            which = (
                row["name"],
                trained,
                row["seed"],
                pair,
                row["protocol"],
                d["query"],
                d["gallery"],
                d["kind"],
            )
            rankings = {AS_EMBEDDED: d["metrics"]}
            rankings |= {f"re-ranked by {rule}": metrics for rule, metrics in d["reranked"].items()}
            for ranking, metrics in rankings.items():
                lines += [(*which, ranking, metric, value) for metric, value in metrics.items()]
    return pd.DataFrame(lines, columns=COLUMNS).astype({"value": float})


def means(frame: pd.DataFrame, row: str, column: str, *, signed: bool = False) -> pd.DataFrame:
    """Mean over pairs and directions for each seed, then mean and, of several seeds, ± standard deviation.

    Args:
        frame: What ``tidy`` returns, or a part of it.
        row: Column of ``frame`` that names the rows.
        column: Column of ``frame`` that names the columns; metrics come in the order of ``METRICS``, and
            those without a value are left out.
        signed: Whether positive means get a plus.
    """
    keys = [row, column]
    by_seed = frame.dropna(subset="value").groupby([*keys, "seed"], sort=False)["value"].mean()
    stats = by_seed.groupby(keys, sort=False).agg(["mean", "std"])
    spread = ["" if pd.isna(std) else f" ± {std:.1f}" for std in stats["std"]]
    sign = "+" if signed else ""
    text = [f"{mean:{sign}.1f}{std}" for mean, std in zip(stats["mean"], spread, strict=True)]
    cells = pd.Series(text, stats.index).unstack(column)
    order = in_order(cells.columns) if column == "metric" else frame[column].unique()
    return cells.reindex(index=frame[row].unique(), columns=order)


def heading(ranking: str) -> str:
    """What stands above the table of a ranking."""
    return f"**{escape_markdown(ranking.capitalize())}**"


def pairs_of(frame: pd.DataFrame) -> str:
    """All pairs that occur, in Markdown."""
    return escape_markdown(", ".join(frame["pair"].unique()))


def by_ranking(frame: pd.DataFrame) -> list[str]:
    """A table of all metrics for each ranking, under its name."""
    parts = []
    for ranking, chosen in frame.groupby("ranking", sort=False):
        parts += [heading(ranking), table(means(chosen, "name", "metric"))]
    return parts


def coarse_classes(rows: list[dict] | None) -> list[str]:
    """A second table, of few large classes; nothing where it was not filled."""
    if not rows:
        return []
    frame = tidy(rows)
    drawn = "; the seed draws the unseen groups" if "zero-shot" in set(frame["protocol"]) else ""
    parts = [
        "## Nine large classes",
        "The hundred embedded objects in nine groups of unlike sizes (`tpsnet shape coarse`); pairs: "
        f"{pairs_of(frame)}; seeds {seeds_of(frame)}{drawn}.",
    ]
    for (protocol_name, kind), chosen in frame.groupby(["protocol", "kind"], sort=False):
        name = protocol_name if kind == "all" else f"{protocol_name}, {kind} gallery"
        parts += [f"### {escape_markdown(name.capitalize())}", *by_ranking(chosen)]
    return parts


def by_direction(frame: pd.DataFrame, metric: str) -> str:
    """A table of one metric: every method in every direction."""
    direction = frame["query"] + " → " + frame["gallery"]
    value = frame["value"].where(frame["metric"] == metric)
    cells = means(frame.assign(direction=direction, value=value), "direction", "name")
    return table(cells, f"{metric}, query → gallery")


def table(
    frame: pd.DataFrame,
    corner: str = "",
    *,
    digits: int = 1,
    numbers: bool = True,
    bold: Collection[str] = (),
) -> str:
    """A data frame in Markdown, with its index on the left; what is missing is "–". Text stays text.

    Args:
        frame: Numbers or text.
        corner: Head of the index.
        digits: Decimals of numbers.
        numbers: Whether the columns stand right, as numbers do.
        bold: Names of rows that stand out.
    """

    def cell(value: object) -> str:
        if pd.isna(value):
            return "–"
        return f"{value:.{digits}f}" if isinstance(value, float) else str(value)

    rule = ["---", *["---:" if numbers else "---"] * len(frame.columns)]
    lines = [[corner, *frame.columns], rule]
    for name, *values in frame.itertuples(name=None):
        first = escape_markdown(name)
        lines.append([f"**{first}**" if name in bold else first, *map(escape_markdown, map(cell, values))])
    lines[0] = list(map(escape_markdown, lines[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def seeds_of(frame: pd.DataFrame) -> str:
    """All seeds that occur."""
    return ", ".join(map(str, sorted(frame["seed"].unique())))


def protocol(rows: Iterable[dict]) -> str:
    """The rules behind all numbers, with all their seeds, then the label spaces and sizes that occur."""
    found = [d["card"] for row in rows for d in row["directions"]]
    listed = ("seeds", "left_out")
    cards = [
        ProtocolCard(**card | {name: tuple(card[name]) for name in listed if name in card}) for card in found
    ]
    seeds = tuple(sorted({seed for card in cards for seed in card.seeds}))
    metrics = {name: text for card in cards for name, text in card.metrics.items()}
    rules = dict.fromkeys(
        line for card in cards for line in replace(card, seeds=seeds, metrics=metrics).rules()
    )
    spaces = escape_markdown("; ".join(dict.fromkeys(card.label_spaces for card in cards)))
    sizes = "; ".join(dict.fromkeys(card.sizes() for card in sorted(cards, key=lambda card: card.n_query)))
    return "\n".join([*rules, f"- **label spaces**: {spaces}", f"- **sizes that occur**: {sizes}"])


def made_with(rows: Iterable[dict]) -> str:
    """Commit, versions, and the machines that the rows were computed on."""
    packages = ("open_clip_torch", "numpy")
    versions = ", ".join(f"{p} {version(p)}" for p in packages)
    machines = escape_markdown("; ".join(dict.fromkeys(row["machine"] for row in rows)))
    return f"Commit {_commit()}; Python {platform.python_version()}, {versions}. Rows computed on {machines}."


def _commit() -> str:
    where = Path(__file__).parent
    command = ["git", "-C", str(where), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return f"unknown (tpsnet {version('tpsnet')})"
