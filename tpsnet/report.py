"""The results table in Markdown: mean ± std over seeds, floors beside methods, protocol under numbers."""

import platform
import subprocess
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from statistics import fmean, stdev

import torch
from joblib import cpu_count

from tpsnet.evaluation import ProtocolCard
from tpsnet.types import InputError

METRICS = ("P@1", "P@5", "P@15", "mAP@All")
PLAIN = ("plain P@1", "plain P@5", "plain P@15")
# TPSNet (CVPR 2026) on Office-Home with ViT-B, P@1; the mean is over all 12 directions. As reported by
# secondary sources; the four directions between Clipart and Art or Product are not known to us.
PUBLISHED = {
    "Art → Real": 89.53,
    "Real → Art": 91.74,
    "Art → Product": 81.17,
    "Product → Art": 88.80,
    "Clipart → Real": 73.36,
    "Real → Clipart": 89.03,
    "Product → Real": 93.26,
    "Real → Product": 92.10,
    "mean of 12": 84.53,
}


def results_markdown(rows: list[dict], switches: list[dict] | None = None) -> str:
    """The page of a filled table.

    Args:
        rows: what ``experiment.fill_table`` returns.
        switches: rows of a smaller table, which show what single settings do.
    """
    names = list(dict.fromkeys(row["row"] for row in rows))
    pairs = list(dict.fromkeys(tuple(row["pair"]) for row in rows))
    seeds = sorted({row["seed"] for row in rows})
    parts = [
        "# Results",
        f"Unsupervised cross-domain retrieval on {len(pairs)} pairs of domains, {2 * len(pairs)} directions; "
        f"trained rows over seeds {', '.join(map(str, seeds))}. All numbers in percent.",
        "## Mean over all directions",
        "± is the standard deviation over seeds of that mean (one seed: none).",
        _table(
            ["", *METRICS, *PLAIN], [[n, *(_overall(rows, n, m) for m in (*METRICS, *PLAIN))] for n in names]
        ),
        "## Mean over all directions, seed by seed",
        _table(
            ["", *(f"mAP@All, seed {s}" for s in seeds), *(f"P@5, seed {s}" for s in seeds)],
            [[n, *(_seed(rows, n, m, s) for m in ("mAP@All", "P@5") for s in seeds)] for n in names],
        ),
    ]
    for metric in METRICS:
        parts += [f"## {metric} by direction", _by_direction(rows, names, metric)]
    parts += _switches(switches) if switches else []
    parts += [
        "## Protocol",
        _protocol(rows),
        "## Published beside it",
        _published(),
        "## Made with",
        made_with(),
    ]
    return "\n\n".join(parts) + "\n"


def write_results(rows: list[dict], path: Path, switches: list[dict] | None = None) -> None:
    """Write the page; a reader never sees half of it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial")
        partial.write_text(results_markdown(rows, switches), encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise InputError(f"cannot write {path} ({error}); free some space or choose another folder") from None


def mean_of_directions(rows: Iterable[dict], name: str, metric: str, seed: int) -> float:
    """A row's mean over all directions for one seed."""
    return fmean(d[metric] for r in rows if (r["row"], r["seed"]) == (name, seed) for d in r["directions"])


def _seeds(rows: list[dict], name: str) -> list[int]:
    return sorted({r["seed"] for r in rows if r["row"] == name})


def _overall(rows: list[dict], name: str, metric: str) -> str:
    return _mean_std([mean_of_directions(rows, name, metric, s) for s in _seeds(rows, name)])


def _seed(rows: list[dict], name: str, metric: str, seed: int) -> str:
    seeds = _seeds(rows, name)  # the floors have one
    return f"{mean_of_directions(rows, name, metric, seed if seed in seeds else seeds[0]):.1f}"


def _by_direction(rows: list[dict], names: list[str], metric: str) -> str:
    values: dict[tuple[str, str], dict[str, list[float]]] = {}
    for row in rows:
        for d in row["directions"]:
            values.setdefault((d["query"], d["gallery"]), {}).setdefault(row["row"], []).append(d[metric])
    lines = [[f"{q} → {g}", *(_mean_std(by[n]) for n in names)] for (q, g), by in values.items()]
    return _table(["query → gallery", *names], lines)


def _mean_std(values: list[float]) -> str:
    return f"{fmean(values):.1f}" + (f" ± {stdev(values):.1f}" if len(values) > 1 else "")


def _switches(rows: list[dict]) -> list[str]:
    """Means over the directions of the few pairs that these rows have."""
    pairs = ", ".join(dict.fromkeys(" ↔ ".join(row["pair"]) for row in rows))
    names = dict.fromkeys(row["row"] for row in rows)
    return [
        "## Single switches",
        f"Mean over both directions of {pairs}; seed {rows[0]['seed']}.",
        _table(["", *METRICS], [[n, *(_overall(rows, n, m) for m in METRICS)] for n in names]),
    ]


def _protocol(rows: list[dict]) -> str:
    """One card: what is the same for all numbers; sizes differ by direction."""
    cards = [d["card"] for r in rows for d in r["directions"]]
    card = ProtocolCard(**max(cards, key=lambda c: len(c["seeds"])))
    sizes = sorted({(c["n_query"], c["n_gallery"], c["n_classes"], c["n_lone"]) for c in cards})
    lines = [
        f"{q} queries, gallery of {g}, {c} common classes, {lone} lone queries" for q, g, c, lone in sizes
    ]
    return card.markdown() + "\n\nSizes that occur: " + "; ".join(lines) + "."


def _published() -> str:
    return (
        "TPSNet as published (CVPR 2026, arXiv:2603.12711): Office-Home, CLIP ViT-B, P@1 as secondary "
        "sources report it. Where the pictures or the CLIP above are others, the two cannot be compared.\n\n"
        + _table(["direction", "P@1"], [[k, f"{v:.2f}"] for k, v in PUBLISHED.items()])
    )


def made_with() -> str:
    """Commit, machine and versions."""
    packages = ("torch", "torchvision", "open_clip_torch", "numpy")
    versions = ", ".join(f"{p} {version(p)}" for p in packages)
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    machine = f"{platform.machine()}, {cpu_count()} cores, {gpu}"
    return f"Commit {_commit()}; Python {platform.python_version()}, {versions}; {machine}."


def _commit() -> str:
    where = Path(__file__).parent
    command = ["git", "-C", str(where), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return f"unknown (tpsnet {version('tpsnet')})"


def _table(head: list[str], lines: list[list[str]]) -> str:
    rows = [head, ["---", *["---:"] * (len(head) - 1)], *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
