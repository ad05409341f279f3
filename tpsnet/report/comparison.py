"""All methods under all protocols side by side, and their published numbers with what differs."""

from collections.abc import Mapping

import pandas as pd

from tpsnet.evaluation import Scores
from tpsnet.report.parts import table, with_any_names
from tpsnet.report.published import published

COLUMNS = ["mAP", "P@1", "H-score"]


@with_any_names
def comparison_markdown(
    scores: Mapping[str, Mapping[str, Scores]], reranked: Mapping[str, Mapping[str, Scores]] | None = None
) -> str:
    """One table of all methods as embedded, one re-ranked, then the published numbers.

    Args:
        scores: Protocol to method to scores; a method may lack protocols.
        reranked: The same after a re-ranking.
    """
    parts = [_all(scores)] if reranked is None else ["**As embedded**", _all(scores)]
    parts += [] if reranked is None else ["**Re-ranked**", _all(reranked)]
    figures = _published(_methods(scores))
    if not figures.empty:
        parts += ["**As published**, on other images and another backbone, so not to be compared"]
        parts += [table(figures, numbers=False)]
    return "\n\n".join(parts) + "\n"


def _methods(scores: Mapping[str, Mapping[str, Scores]]) -> list[str]:
    return list(dict.fromkeys(name for by in scores.values() for name in by))


def _frames(scores: Mapping[str, Mapping[str, Scores]]) -> dict[str, pd.DataFrame]:
    """By protocol, a line a method and a column a metric."""
    return {
        protocol: pd.DataFrame({name: s.metrics() for name, s in by.items()}, dtype=float).T
        for protocol, by in scores.items()
    }


def _all(scores: Mapping[str, Mapping[str, Scores]]) -> str:
    """Every method under every protocol."""
    blocks = [
        here.reindex(columns=COLUMNS).dropna(axis=1, how="all").add_prefix(f"{protocol}: ")
        for protocol, here in _frames(scores).items()
    ]
    return table(pd.concat(blocks, axis=1).reindex(_methods(scores)))


def _published(methods: list[str]) -> pd.DataFrame:
    """What the papers print of these methods, with what differs there."""
    lines = {}
    means = published().query("direction == 'mean' and name in @methods")
    for (protocol, name, differs), figures in means.groupby(["protocol", "name", "differs"], sort=False):
        known = figures.dropna(subset="value")
        numbers = [f"{metric} {v:.1f}" for metric, v in zip(known["metric"], known["value"], strict=True)]
        lines[f"{name}, {protocol}", differs] = [", ".join(numbers) or "–", differs]
    cells = pd.DataFrame.from_dict(lines, "index", columns=["as published", "what differs there"])
    return cells.set_axis([which for which, _ in lines], axis=0)
