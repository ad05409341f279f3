"""What the pages of results are made of: tables, means, the protocol, and what they were made with."""

import platform
import subprocess
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import fmean, stdev

import torch
from joblib import cpu_count

from tpsnet.evaluation import ProtocolCard
from tpsnet.files import replacing


def write_page(page: str, path: Path) -> None:
    """Write a page; a reader never sees half of it."""
    with replacing(path) as partial:
        partial.write_text(page, encoding="utf-8")


def table(head: list[str], lines: list[list[str]], *, numbers: bool = True) -> str:
    """Markdown, the first column left and the others right; text is left in all."""
    rows = [head, ["---", *["---:" if numbers else "---"] * (len(head) - 1)], *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def mean_std(values: Sequence[float]) -> str:
    """Mean and, of several values, their standard deviation."""
    return f"{fmean(values):.1f}" + (f" ± {stdev(values):.1f}" if len(values) > 1 else "")


def mean_of_directions(rows: Iterable[dict], name: str, metric: str, seed: int) -> float:
    """A row's mean over all directions for one seed."""
    return fmean(d[metric] for r in rows if (r["row"], r["seed"]) == (name, seed) for d in r["directions"])


def seeds_of(rows: list[dict], name: str) -> list[int]:
    """Seeds that a row was run with."""
    return sorted({r["seed"] for r in rows if r["row"] == name})


def overall(rows: list[dict], name: str, metric: str) -> str:
    """A row's mean over all directions, ± over seeds."""
    return mean_std([mean_of_directions(rows, name, metric, s) for s in seeds_of(rows, name)])


def by_direction(rows: list[dict], names: list[str], metric: str) -> str:
    """A metric of every row in every direction."""
    values: dict[tuple[str, str], dict[str, list[float]]] = {}
    for row in rows:
        for d in row["directions"]:
            values.setdefault((d["query"], d["gallery"]), {}).setdefault(row["row"], []).append(d[metric])
    lines = [[f"{q} → {g}", *(mean_std(by[n]) for n in names)] for (q, g), by in values.items()]
    return table([f"{metric}, query → gallery", *names], lines)


def protocol(rows: list[dict]) -> str:
    """The rules behind all numbers, with all their seeds, then the label spaces and sizes that occur."""
    cards = [d["card"] for r in rows for d in r["directions"]]
    seeds = tuple(sorted({seed for c in cards for seed in c["seeds"]}))
    rules = dict.fromkeys(line for c in cards for line in ProtocolCard(**c | {"seeds": seeds}).rules())
    spaces = dict.fromkeys(c["label_spaces"] for c in cards)
    sizes = sorted({(c["n_query"], c["n_gallery"], c["n_classes"], c["n_lone"]) for c in cards})
    lines = [
        f"{q} queries, gallery of {g}, {n} common classes, {lone} lone queries" for q, g, n, lone in sizes
    ]
    occurring = f"- **label spaces**: {'; '.join(spaces)}\n- **sizes that occur**: {'; '.join(lines)}"
    return "\n".join([*rules, occurring])


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
