"""The page of zero-shot retrieval: both galleries, CLAIR without its parts, the headroom of its losses."""

from tpsnet.report.parts import by_direction, made_with, overall, protocol, seeds_of, table

METRICS = ("mAP@all", "mAP@200", "Prec@100", "Prec@200")
KINDS = {"unseen": "Gallery of unseen classes", "generalised": "Generalised gallery: unseen and seen classes"}


def zero_shot_markdown(
    rows: list[dict], ablation: list[dict] | None = None, others: list[dict] | None = None
) -> str:
    """The page.

    Args:
        rows: what ``table.fill_table`` returns for the setting ``"zero-shot"``.
        ablation: CLAIR, its variants and the one with true labels, if they were trained.
        others: rows of systems that were not made for this setting, with one seed.
    """
    pairs = ", ".join(dict.fromkeys(" ↔ ".join(row["pair"]) for row in rows))
    parts = [
        "# Zero-shot retrieval",
        f"Trained on the seen classes, asked with the unseen ones, in both directions of {pairs}. All "
        "numbers in percent, mean over directions ± standard deviation of that over the seeds of training.",
    ]
    for kind, title in KINDS.items():
        chosen = _of_kind(rows, kind)
        parts += [f"## {title}", _means(chosen)]
        parts += [by_direction(chosen, _names(chosen), "mAP@all")] if kind == "unseen" else []
    if ablation:
        parts += [
            "## CLAIR without its parts, gallery of unseen classes",
            "The same directions. *True labels* is no method: the same losses, given the labels of the seen "
            "pictures, show what better pseudo-labels could bring.",
            _means(_of_kind(ablation, "unseen")),
        ]
    parts += _others(rows, others) if others else []
    rules = protocol([*rows, *(ablation or []), *(others or [])])
    published = "CLAIR's numbers (BMVC 2025, arXiv:2508.12290) are not known to us."
    parts += ["## Protocol", rules, "## Published beside it", published, "## Made with", made_with()]
    return "\n\n".join(parts) + "\n"


def _others(rows: list[dict], others: list[dict]) -> list[str]:
    """The others beside what else was run with their seed; a floor may have none."""
    seed = others[0]["seed"]
    both = [row for row in rows if row["seed"] == seed or len(seeds_of(rows, row["row"])) == 1] + others
    chosen = _of_kind(both, "unseen")
    return [
        "## Beside systems that were not made for it",
        f"The same directions, seed {seed}; gallery of unseen classes.",
        _means(chosen),
        by_direction(chosen, _names(chosen), "mAP@all"),
    ]


def _of_kind(rows: list[dict], kind: str) -> list[dict]:
    return [row | {"directions": [d for d in row["directions"] if d["kind"] == kind]} for row in rows]


def _names(rows: list[dict]) -> list[str]:
    return list(dict.fromkeys(row["row"] for row in rows))


def _trained(rows: list[dict], name: str) -> str:
    """Seeds of a row's training; the floors have none."""
    cards = [d["card"] for row in rows if row["row"] == name for d in row["directions"]]
    return ", ".join(map(str, sorted({seed for card in cards for seed in card["seeds"]}))) or "none"


def _means(rows: list[dict]) -> str:
    lines = [
        [name, _trained(rows, name), *(overall(rows, name, metric) for metric in METRICS)]
        for name in _names(rows)
    ]
    return table(["", "seeds", *METRICS], lines)
