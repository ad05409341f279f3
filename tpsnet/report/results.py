"""The results table in Markdown: mean ± std over seeds, baselines beside methods, protocol under numbers."""

import pandas as pd

from tpsnet.evaluation import family, in_order
from tpsnet.report.differences import differences_markdown
from tpsnet.report.parts import (
    AS_EMBEDDED,
    by_direction,
    by_ranking,
    coarse_classes,
    heading,
    made_with,
    protocol,
    seeds_of,
    table,
    tidy,
)
from tpsnet.report.published import published, sources, wide

COMPARED = ("mAP", "P@1")
BY_SEED = ("mAP", "P@1")
BY_DIRECTION = ("mAP", "P@k")


def results_markdown(rows: list[dict], coarse: list[dict] | None = None) -> str:
    """The page of a filled table.

    Args:
        rows: The rows of the closed protocol.
        coarse: Rows on the same images in few large classes, if they were filled.
    """
    frame = tidy(rows)
    pairs = frame["pair"].nunique()
    parts = [
        "# Results",
        f"Unsupervised cross-domain retrieval on {pairs} pairs of domains, {2 * pairs} directions; "
        f"trained rows over seeds {seeds_of(frame)}. All numbers in percent.",
        "## Mean over all directions",
        "± is the standard deviation over seeds of that mean (one seed: none).",
        *by_ranking(frame),
        "## Beside the strongest training-free row",
        *differences_markdown(frame, [m for m in COMPARED if m in set(frame["metric"])]),
        "## Mean over all directions, seed by seed",
        *_seed_by_seed(frame),
    ]
    embedded = frame[frame["ranking"] == AS_EMBEDDED]
    for metric in in_order(frame["metric"]):
        if family(metric) in BY_DIRECTION:
            parts += [f"## {metric} by direction, as embedded", by_direction(embedded, metric)]
    parts += coarse_classes(coarse)
    figures = published("office-home", "closed").query("name == 'TPSNet' and backbone == 'CLIP ViT-B'")
    figures = figures.dropna(subset="value")
    parts += [
        "## Protocol",
        protocol([*rows, *(coarse or [])]),
        "## Published beside it",
        f"Not to be compared where images or CLIP are others. {sources(figures)}",
        table(wide(figures, "direction"), "query → gallery", digits=2),
        "## Made with",
        made_with([*rows, *(coarse or [])]),
    ]
    return "\n\n".join(parts) + "\n"


def _seed_by_seed(frame: pd.DataFrame) -> list[str]:
    """A table for each ranking."""
    parts = []
    for ranking, chosen in frame.groupby("ranking", sort=False):
        parts += [heading(ranking), table(_by_seed(chosen))]
    return parts


def _by_seed(frame: pd.DataFrame) -> pd.DataFrame:
    """The means that no deviation hides; a row with one seed, such as a baseline, repeats it."""
    blocks = []
    for metric in (m for m in BY_SEED if m in set(frame["metric"])):
        chosen = frame[frame["metric"] == metric]
        seeds = chosen.groupby(["name", "seed"], sort=False)["value"].mean().unstack()
        seeds = seeds.apply(lambda line: line.fillna(line.mean()) if line.count() == 1 else line, axis=1)
        blocks.append(seeds.add_prefix(f"{metric}, seed "))
    return pd.concat(blocks, axis=1).reindex(frame["name"].unique())
