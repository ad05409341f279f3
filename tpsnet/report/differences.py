"""Paired differences: every trained row less the strongest training-free one, direction by direction."""

import pandas as pd

from tpsnet.escape import escape_markdown
from tpsnet.evaluation import in_order
from tpsnet.report.parts import heading, means, table, tidy

PAIRED = ["protocol", "kind", "query", "gallery"]


def differences_markdown(frame: pd.DataFrame, metrics: list[str]) -> list[str]:
    """How far trained rows lie above the strongest training-free row under the same ranking.

    Args:
        frame: What ``tidy`` returns, or a part of it.
        metrics: Metrics to compare; the first one says which training-free row is the strongest, and is shown
            for every direction.

    Returns:
        Paragraphs of Markdown; none where nothing was trained, or nothing was not.
    """
    parts = []
    for ranking, chosen in frame.groupby("ranking", sort=False):
        best = strongest(chosen, metrics[0])
        if best is None or not chosen["trained"].any():
            continue
        found = paired(chosen[chosen["metric"].isin(metrics)], best)
        first = found[found["metric"] == metrics[0]]
        direction = first["query"] + " → " + first["gallery"]
        parts += [
            f"{heading(ranking)}, less *{escape_markdown(best)}*: mean, the worst seed, and the pairs of "
            f"domains on which {metrics[0]} lies above it with every seed.",
            table(_summary(found, metrics)),
            table(
                means(first.assign(direction=direction), "direction", "name", signed=True),
                f"{metrics[0]}, query → gallery",
            ),
        ]
    return parts


def shortfalls(rows: list[dict]) -> list[str]:
    """A line for each trained row that ends below a training-free one under the same ranking.

    Compared is the mean over directions and seeds of the first metric that a row has; the line names the
    strongest training-free row.

    Args:
        rows: Rows of one protocol, training-free ones among them.
    """
    frame, lines = tidy(rows), []
    metric = in_order(frame["metric"])[0]
    for (_, ranking), chosen in frame[frame["metric"] == metric].groupby(["kind", "ranking"], sort=False):
        best = strongest(chosen, metric)
        if best is None or not chosen["trained"].any():
            continue
        lacking = -paired(chosen, best).groupby("name", sort=False)["value"].mean()
        lines += [
            f"{name} ends {lack:.1f} {metric} below {best}, which is not trained ({ranking})"
            for name, lack in lacking[lacking > 0].items()
        ]
    return lines


def strongest(frame: pd.DataFrame, metric: str) -> str | None:
    """The training-free row with the highest mean of a metric."""
    free = frame[~frame["trained"] & (frame["metric"] == metric)]
    return None if free.empty else free.groupby("name")["value"].mean().idxmax()


def paired(frame: pd.DataFrame, best: str) -> pd.DataFrame:
    """Trained rows with their values less those of a training-free row on the same direction and seed.

    Where the training-free row has one seed, because none changes it, that one stands for all.
    """
    keys, mine = [*PAIRED, "metric"], frame[frame["name"] == best]
    if mine["seed"].nunique() > 1:
        keys.append("seed")
    base = mine[[*keys, "value"]].rename(columns={"value": "base"})
    found = frame[frame["trained"]].merge(base, on=keys)
    return found.assign(value=found["value"] - found["base"])


def _summary(found: pd.DataFrame, metrics: list[str]) -> pd.DataFrame:
    """A line for each trained row."""
    shown = found[found["metric"].isin(metrics)]
    cells = means(shown, "name", "metric", signed=True)
    worst = shown.groupby(["name", "metric", "seed"])["value"].mean().groupby(["name", "metric"]).min()
    for metric in cells.columns:
        cells[f"{metric}, worst seed"] = [f"{worst[name, metric]:+.1f}" for name in cells.index]
    of_pair = found[found["metric"] == metrics[0]].groupby(["name", "pair", "seed"])["value"].mean()
    above = (of_pair > 0).groupby(["name", "pair"]).all().groupby("name")
    cells["pairs above"] = [f"{above.sum()[name]} of {above.size()[name]}" for name in cells.index]
    return cells
