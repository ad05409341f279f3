"""The page of zero-shot retrieval: both galleries, CLAIR without its parts, and the oracle of its losses."""

from tpsnet.evaluation import in_order
from tpsnet.report.differences import differences_markdown
from tpsnet.report.parts import (
    AS_EMBEDDED,
    by_direction,
    coarse_classes,
    heading,
    made_with,
    means,
    pairs_of,
    protocol,
    table,
    tidy,
)
from tpsnet.report.published import published, sources

KINDS = {"unseen": "Gallery of unseen classes", "generalised": "Generalised gallery: unseen and seen classes"}


def zero_shot_markdown(
    rows: list[dict],
    ablation: list[dict] | None = None,
    others: list[dict] | None = None,
    coarse: list[dict] | None = None,
) -> str:
    """The page of zero-shot retrieval.

    Args:
        rows: The rows of the protocol ``"zero-shot"``.
        ablation: CLAIR, its variants and the oracle, if they were trained.
        others: Rows of methods that were not made for this protocol, with one seed.
        coarse: Rows on the same images in few large classes, if they were filled.
    """
    parts = [
        "# Zero-shot retrieval",
        "Trained on the seen classes; the queries are of unseen ones, in both directions of "
        f"{pairs_of(tidy(rows))}. All numbers in percent, mean over directions ± standard deviation of "
        "that over the seeds of training.",
    ]
    for kind, title in KINDS.items():
        parts += [f"## {title}", *_means(rows, kind)]
        parts += [_leading(rows)] if kind == "unseen" else []
        chosen = tidy(rows).query("kind == @kind")
        parts += differences_markdown(chosen, in_order(chosen["metric"])[:1])
    if ablation:
        parts += [
            "## CLAIR without its parts, gallery of unseen classes",
            "The same directions. *True labels* is an oracle, no method: the same losses, given the labels "
            "of the seen images, show what better pseudo-labels could bring.",
            *_means(ablation, "unseen"),
        ]
    parts += _others(rows, others) if others else []
    parts += coarse_classes(coarse)
    rules = protocol([*rows, *(ablation or []), *(others or []), *(coarse or [])])
    beside = sources(published(protocol="zero-shot"))
    parts += [
        "## Protocol",
        rules,
        "## Published beside it",
        beside,
        "## Made with",
        made_with([*rows, *(ablation or []), *(others or []), *(coarse or [])]),
    ]
    return "\n\n".join(parts) + "\n"


def _others(rows: list[dict], others: list[dict]) -> list[str]:
    """The others beside what else was run with their seed; a baseline may have none."""
    seed, n_seeds = others[0]["seed"], tidy(rows).groupby("name")["seed"].nunique()
    both = [row for row in rows if row["seed"] == seed or n_seeds[row["name"]] == 1] + others
    return [
        "## Beside methods that were not made for it",
        f"The same directions, seed {seed}; gallery of unseen classes.",
        *_means(both, "unseen"),
        _leading(both),
    ]


def _means(rows: list[dict], kind: str) -> list[str]:
    """Every method with the seeds of its training, a table for each ranking; the baselines have none."""
    seeds: dict[str, set[int]] = {}
    for row in rows:
        seeds.setdefault(row["name"], set()).update(*(d["card"]["seeds"] for d in row["directions"]))
    parts = []
    for ranking, chosen in tidy(rows).query("kind == @kind").groupby("ranking", sort=False):
        cells = means(chosen, "name", "metric")
        cells.insert(0, "seeds", [", ".join(map(str, sorted(seeds[name]))) or "none" for name in cells.index])
        parts += [heading(ranking), table(cells)]
    return parts


def _leading(rows: list[dict]) -> str:
    """The first metric by direction as embedded, in the gallery of unseen classes."""
    frame = tidy(rows).query("kind == 'unseen'")
    frame = frame[frame["ranking"] == AS_EMBEDDED]
    return by_direction(frame, in_order(frame["metric"])[0])
