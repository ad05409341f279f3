"""The page of universal retrieval: each protocol with its scores and rejections, and UEM's ablation."""

import pandas as pd

from tpsnet.escape import escape_markdown
from tpsnet.evaluation import in_order
from tpsnet.report.differences import differences_markdown
from tpsnet.report.parts import (
    AS_EMBEDDED,
    by_direction,
    by_ranking,
    coarse_classes,
    made_with,
    pairs_of,
    protocol,
    seeds_of,
    table,
    tidy,
)
from tpsnet.report.published import published, sources, wide

COMPARED = ("mAP", "H-score")
REJECTION = (
    "- **rejection**: UEM as printed clusters both domains anew and rejects a query whose nearest prototype "
    "has not merged, or that is farther from the gallery than the images of a merged pair are; for all other "
    "rows a query goes to its nearest gallery images and on to their nearest queries, and is rejected if "
    "these are less like it than what four of five gallery images find on the same way; in UEM clusters have "
    "half of the say. After a re-ranking every row decides anew on the re-ranked embeddings"
)


def universal_markdown(
    rows: list[dict], ablation: list[dict] | None = None, coarse: list[dict] | None = None
) -> str:
    """The page of universal retrieval.

    Args:
        rows: The rows of some protocols.
        ablation: UEM and its variants under the open one, if they were trained.
        coarse: Rows on the same images in few large classes, if they were filled.
    """
    frame = tidy(rows)
    parts = [
        "# Universal retrieval",
        f"Pairs: {pairs_of(frame)}; under *closed* in both directions, else the first "
        f"domain is the query and the second the gallery. Seeds {seeds_of(frame)}, which draw the "
        "label spaces too. All numbers in percent, mean over directions ± standard deviation of that "
        "over seeds. mAP and P@k are over the queries that have a match (UEM's shared set).",
    ]
    for name, chosen in frame.groupby("protocol", sort=False):
        leading = by_direction(chosen[chosen["ranking"] == AS_EMBEDDED], in_order(chosen["metric"])[0])
        parts += [f"## {escape_markdown(name.capitalize())}", *by_ranking(chosen), leading]
        parts += differences_markdown(chosen, [m for m in COMPARED if m in set(chosen["metric"])])
    parts += _ablation(tidy(ablation)) if ablation else []
    parts += coarse_classes(coarse)
    rules = protocol([*rows, *(ablation or []), *(coarse or [])]) + "\n" + REJECTION
    parts += ["## Protocol", rules, "## Made with", made_with([*rows, *(ablation or []), *(coarse or [])])]
    return "\n\n".join(parts) + "\n"


def _ablation(frame: pd.DataFrame) -> list[str]:
    figures = published("office-home", "open")
    figures = figures[(figures["direction"] == "mean") & figures["name"].str.startswith("UEM")]
    return [
        "## Ablation of UEM, open",
        f"The same pairs; seeds {seeds_of(frame)}.",
        *by_ranking(frame),
        f"As published, on other images and another backbone, so not to be compared. {sources(figures)}",
        table(wide(figures, "name")),
    ]
