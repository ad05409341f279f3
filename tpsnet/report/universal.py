"""The page of universal retrieval: each label space with its scores and detection, and UEM's ablation."""

from tpsnet.report.parts import by_direction, made_with, overall, protocol, table

COLUMNS = {
    "mAP@All": "mAP@All",
    "P@1": "P@1",
    "private_accuracy": "private rejected",
    "shared_accuracy": "shared kept",
    "accuracy": "right verdicts",
    "h_score": "H-score",
}
# UEM (NeurIPS 2024), Table 4, Office-Home open-set: shared-set mAP@All and open accuracy, mean of 12.
PUBLISHED = {
    "UEM": (50.2, 86.7),
    "UEM, no merging": (45.7, 72.6),
    "UEM, no SEL": (47.5, 81.7),
    "UEM, no SPDA": (39.0, 60.8),
    "UEM, no SN²M": (48.8, 82.8),
}
VERDICTS = (
    "- **no match**: UEM clusters both domains anew and rejects a query whose nearest prototype has not "
    "merged, or that is farther from the gallery than the pictures of a merged pair are; the other rows "
    "reject a query that is farther from the gallery than its own cluster is wide, and are told the number "
    "of query classes"
)


def universal_markdown(rows: list[dict], ablation: list[dict] | None = None) -> str:
    """The page.

    Args:
        rows: what ``table.fill_table`` returns for some label spaces.
        ablation: UEM and its variants, under the open one, if they were trained.
    """
    settings = list(dict.fromkeys(row["setting"] for row in rows))
    pairs = list(dict.fromkeys(" → ".join(row["pair"]) for row in rows))
    parts = [
        "# Universal retrieval",
        f"Queries → gallery: {', '.join(pairs)}; seeds {_seeds(rows)}, which draw the label spaces too. All "
        "numbers in percent, mean over pairs ± standard deviation of that over seeds. mAP@All and P@k are "
        "over the queries that have a match (UEM's shared set); *private rejected* is the share of the "
        'others that are answered with "no match".',
    ]
    for setting in settings:
        chosen = [row for row in rows if row["setting"] == setting]
        names = list(dict.fromkeys(row["row"] for row in chosen))
        parts += [f"## {setting.capitalize()}", _means(chosen), by_direction(chosen, names, "mAP@All")]
    parts += _ablation(ablation) if ablation else []
    rules = protocol([*rows, *(ablation or [])]) + "\n" + VERDICTS
    parts += ["## Protocol", rules, "## Made with", made_with()]
    return "\n\n".join(parts) + "\n"


def _ablation(rows: list[dict]) -> list[str]:
    return [
        "## Ablation of UEM, open",
        f"The same pairs; seeds {_seeds(rows)}.",
        _means(rows),
        "As published (UEM, NeurIPS 2024, Table 4): Office-Home with a ResNet-50, so not to be compared.",
        table(
            ["", "mAP@All", "private rejected"],
            [[name, f"{mean:.1f}", f"{found:.1f}"] for name, (mean, found) in PUBLISHED.items()],
        ),
    ]


def _seeds(rows: list[dict]) -> str:
    return ", ".join(map(str, sorted({row["seed"] for row in rows})))


def _means(rows: list[dict]) -> str:
    """Every method: mean over pairs, then mean ± std over seeds."""
    columns = [c for c in COLUMNS if any(row["directions"][0].get(c) is not None for row in rows)]
    names = dict.fromkeys(row["row"] for row in rows)
    lines = [[name, *(overall(rows, name, c) for c in columns)] for name in names]
    return table(["", *(COLUMNS[c] for c in columns)], lines)
