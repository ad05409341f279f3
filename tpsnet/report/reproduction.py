"""Ours beside the published figures of the same images and protocol: one tidy frame, as Markdown and LaTeX.

The frame itself is the CSV.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from tpsnet.escape import escape_latex, escape_markdown
from tpsnet.evaluation import in_order
from tpsnet.report.parts import AS_EMBEDDED, by_ranking, made_with, protocol, table, tidy, with_any_names

HERE, PAPER = "here", "paper"
MEAN = "mean"  # over all directions that are reported
WHAT = ["protocol", "kind", "name", "ranking", "metric"]
COLUMNS = ["origin", *WHAT, "direction", "value", "std", "seeds", "source"]


@dataclass(frozen=True)
class Sheet:
    """A table of the page: methods as rows, directions as columns.

    Attributes:
        title: Protocol and metric.
        cells: Text: ours as mean ± standard deviation over seeds, the papers' figures as they print them.
    """

    title: str
    cells: pd.DataFrame


@with_any_names
def reproduction(
    rows: Sequence[dict], figures: pd.DataFrame, reported: Mapping[str, Sequence[str]]
) -> pd.DataFrame:
    """Our rows and published figures as one tidy frame.

    Args:
        rows: Rows of a table, see ``experiments``.
        figures: What ``published`` gives of the same images and protocols; an empty part of it for others.
        reported: The directions that the field reports, such as "Art → Clipart", by protocol.

    Returns:
        ``COLUMNS``, a line a number, in percent; ours are mean and standard deviation over seeds. The
        direction "mean" is over all reported directions. Ours over fewer of them is "mean of N" and has a
        column of its own, so that it stands beside no published mean.
    """
    frame = tidy(rows).dropna(subset="value")
    frame["direction"] = frame["query"] + " → " + frame["gallery"]
    parts = [frame, *(_means(part, reported.get(name, ())) for name, part in frame.groupby("protocol"))]
    ours = pd.concat(parts).groupby([*WHAT, "direction"], sort=False)
    lines = ours["value"].agg(["mean", "std"]).rename(columns={"mean": "value"})
    lines["seeds"] = ours["seed"].agg(lambda seeds: ", ".join(map(str, sorted(set(seeds)))))
    lines = lines.reset_index().assign(origin=HERE, source="")
    source = (figures["source"] + ", " + figures["backbone"]).str.removesuffix(", ")
    kind = figures["protocol"].map(lambda name: "unseen" if name == "zero-shot" else "all")
    theirs = figures.assign(
        origin=PAPER, kind=kind, ranking=AS_EMBEDDED, std=float("nan"), seeds="", source=source
    )
    return pd.concat([lines[COLUMNS], theirs[COLUMNS]], ignore_index=True)


def _means(frame: pd.DataFrame, reported: Sequence[str]) -> pd.DataFrame:
    """The mean over the reported directions that are there, seed by seed."""
    chosen = frame[frame["direction"].isin(reported)]
    there = chosen.groupby([*WHAT, "seed"], sort=False)["value"].agg(["mean", "count"]).reset_index()
    label = [MEAN if n == len(reported) else f"mean of {n}" for n in there["count"]]
    return there.rename(columns={"mean": "value"}).assign(direction=label)


def sheets(frame: pd.DataFrame, reported: Mapping[str, Sequence[str]]) -> Iterator[Sheet]:
    """The tables by direction, as embedded: of each metric that a paper prints, else of the first one.

    Args:
        frame: What ``reproduction`` returns.
        reported: The directions that the field reports, by protocol; they come first.
    """
    theirs = filter(None, frame["source"].unique())
    marks = {"": ""} | {source: f" [{number}]" for number, source in enumerate(theirs, 1)}
    embedded = frame[frame["ranking"] == AS_EMBEDDED]
    embedded = embedded.assign(row=embedded["name"] + [marks[source] for source in embedded["source"]])
    for name, part in embedded.groupby("protocol", sort=False):
        printed = part.loc[(part["origin"] == PAPER) & part["value"].notna(), "metric"]
        for metric in in_order(printed) or in_order(part["metric"])[:1]:
            for kind, chosen in part[part["metric"] == metric].groupby("kind", sort=False):
                gallery = "" if kind == "all" else f", {kind} gallery"
                yield Sheet(f"{name.capitalize()}{gallery}: {metric}", _cells(chosen, reported.get(name, ())))


def _cells(frame: pd.DataFrame, reported: Sequence[str]) -> pd.DataFrame:
    """Rows by columns of text; rows and columns without a number are left out."""
    known = frame.dropna(subset="value")
    digits = known.groupby("source")["value"].agg(lambda values: 1 + (values.round(1) != values).any())
    text = [
        f"{value:.{1 if origin == HERE else digits[source]}f}" + ("" if pd.isna(std) else f" ± {std:.1f}")
        for value, std, origin, source in known[["value", "std", "origin", "source"]].itertuples(index=False)
    ]
    known = known.assign(text=text)
    last = sorted(set(known["direction"]) - {*reported})
    order = [d for d in (*reported, *last) if d in set(known["direction"])]
    return (
        known.set_index(["row", "direction"])["text"].unstack().reindex(known["row"].unique(), columns=order)
    )


@with_any_names
def reproduction_markdown(
    title: str,
    frame: pd.DataFrame,
    rows: Sequence[dict],
    figures: pd.DataFrame,
    reported: Mapping[str, Sequence[str]],
    notes: Sequence[str] = (),
) -> str:
    """The page of a preset.

    Args:
        title: Name of the data set.
        frame: What ``reproduction`` returns.
        rows: The rows that it was made of.
        figures: The published figures that it was made of.
        reported: The directions that the field reports, by protocol.
        notes: What a reader must know of these numbers, in Markdown.
    """
    parts = [
        f"# {escape_markdown(title)}",
        "All numbers in percent; ours are mean ± standard deviation over seeds. A number in brackets marks a "
        "published row; its source and settings are under *Receipt*.",
        *notes,
    ]
    for sheet in sheets(frame, reported):
        parts += [f"## {escape_markdown(sheet.title)}", table(sheet.cells, "query → gallery")]
    whole = tidy(rows)
    parts += ["## Every metric, mean over all directions that were run"]
    for (name, kind), chosen in whole.groupby(["protocol", "kind"], sort=False):
        gallery = "" if kind == "all" else f", {kind} gallery"
        parts += [f"### {escape_markdown(name.capitalize() + gallery)}", *by_ranking(chosen)]
    if not figures.empty:
        parts += ["## Receipt", table(receipt(figures), numbers=False)]
    return "\n\n".join([*parts, "## Protocol", protocol(rows), "## Made with", made_with(rows)]) + "\n"


def receipt(figures: pd.DataFrame) -> pd.DataFrame:
    """A line for each source: whose settings its figures have, and what they cost, where that is known."""
    source = (figures["source"] + ", " + figures["backbone"]).str.removesuffix(", ")
    lines = figures.assign(source=source).drop_duplicates("source")
    lines = lines.set_axis([f"[{n}] {name}" for n, name in enumerate(lines["source"], 1)])
    told = lines[["settings", "hours", "gpu", "differs"]].astype(object)
    told = told.where(told.notna(), "not printed")
    return told.rename(columns={"gpu": "GPU", "differs": "what differs"})


@with_any_names
def reproduction_latex(frame: pd.DataFrame, reported: Mapping[str, Sequence[str]]) -> str:
    """The same tables for a paper, with the package booktabs; a table for each protocol and metric."""
    return "\n".join(_latex(sheet) for sheet in sheets(frame, reported))


def _latex(sheet: Sheet) -> str:
    columns = tuple(sheet.cells.columns)
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape_latex(sheet.title)}}}",
        rf"\begin{{tabular}}{{l{'r' * len(columns)}}}",
        r"\toprule",
        _line("", columns),
        r"\midrule",
        *(_line(row[0], row[1:]) for row in sheet.cells.astype(object).fillna("–").itertuples(name=None)),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _line(head: str, cells: Sequence[str]) -> str:
    # Braces: a line that begins with "[" would be an argument of the \\ above it.
    first, *others = map(escape_latex, (head, *cells))
    return " & ".join([f"{{{first}}}", *others]) + r" \\"
