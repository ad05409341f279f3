"""Choose TPSNet's temperatures, rate, epochs and crop without a label, into docs/settings.md.

    python -m tools.studies.choose_settings

The criterion is stability (Lange et al., Neural Computation 2004): train with two seeds, cluster both
results, and compare which images of one domain either puts with which of the other. Seeds differ in their
first clusters, so training that only hardens its own first mistakes loses; training that finds what is in
the images wins. One axis at a time, from the middle of each, in the order below. The mAP beside it is
computed from labels after the fact, to show how well the criterion follows it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import pandas as pd
import torch
import tyro
from jaxtyping import Int
from torch import Tensor

from tpsnet.backbone import Backbone
from tpsnet.data import AugmentConfig
from tpsnet.experiments import BASELINES, Closed, Run, Source, Variant, run
from tpsnet.experiments.jobs import Job, run_jobs
from tpsnet.experiments.run import made_with
from tpsnet.io import write_text
from tpsnet.methods import TPSNetConfig
from tpsnet.report.parts import table
from tpsnet.targets import kmeans
from tpsnet.training import FitConfig

AXES: dict[str, tuple[float, ...]] = {
    "encoder_lr": (1e-4, 3e-4, 1e-3),
    "text_temperature": (0.05, 0.1, 0.2, 0.4),
    "prototype_temperature": (0.1, 0.2, 0.4),
    "epochs": (3, 5, 10),
    "crop": (0.3, 0.5, 0.7),
}
START = {"encoder_lr": 3e-4, "text_temperature": 0.1, "prototype_temperature": 0.2, "epochs": 5, "crop": 0.5}
SEEDS = (0, 1)
MARGIN = 1.0  # points of agreement that a value must have over the start's: less is noise
SOURCE, PROTOCOL = Source(), Closed()
Setting = dict[str, float]
Measured = dict[str, float]  # agreement and mAP, in percent
Value = TypeVar("Value")


def main(
    pairs: tuple[tuple[str, str], ...] = (("line", "shaded"), ("flat", "solid")),
    rows: Path = Path("runs/settings/tpsnet.jsonl"),
    card: Path = Path(__file__).parents[2] / "docs" / "settings.md",
    workers: int = 2,
) -> None:
    """Walk the axes and write what was found.

    Args:
        pairs: Pairs of domains to train on.
        rows: Where each result is kept; a second call goes on from there.
        card: The file that is written.
        workers: Processes with one thread each.
    """
    backbone, best, axes = SOURCE.backbone(), dict(START), {}

    def measure(configs: Sequence[tuple[Variant, FitConfig]], label: str) -> list[Measured]:
        jobs = [job(*config, pair, backbone) for config in configs for pair in pairs]
        found = run_jobs(rows, jobs, judge, workers=workers, label=label)
        return [_mean(found[i : i + len(pairs)]) for i in range(0, len(found), len(pairs))]

    for axis, values in AXES.items():
        found = measure([configured(best | {axis: value}) for value in values], axis)
        axes[axis] = dict(zip(values, found, strict=True))
        best[axis] = choose({value: m["agreement"] for value, m in axes[axis].items()}, START[axis])
    untrained = measure([(BASELINES["frozen CLIP, centred"], FitConfig())], "untrained")[0]["agreement"]
    write_text(card, page(pairs, best, axes, untrained))
    print(card.read_text(encoding="utf-8"))


def configured(setting: Setting) -> tuple[Variant, FitConfig]:
    """The method and the loop of a setting."""
    own = {name: value for name, value in setting.items() if name != "crop"}
    # The start's share of an embedding is no merit of the training: it agrees with itself.
    config = TPSNetConfig(start_weight=0.0, **own)
    augment = AugmentConfig(crop_scale=(setting["crop"], 1.0))
    return Variant("TPSNet", "TPSNet", config), FitConfig(augment=augment)


def job(variant: Variant, loop: FitConfig, names: tuple[str, str], backbone: Backbone) -> Job:
    """One setting on one pair, with both seeds."""
    made = made_with(variant, names, PROTOCOL, SEEDS[0], loop, backbone)
    made |= {"seed": list(SEEDS), "root": SOURCE.folder(PROTOCOL).name}
    return Job(made, (variant, loop, names), " ↔ ".join(names))


def judge(variant: Variant, loop: FitConfig, names: tuple[str, str]) -> Measured:
    """Train with both seeds on one pair: how far the two agree, and (for the record) the mAP."""
    torch.set_num_threads(1)  # the figures then do not depend on the machine's cores
    backbone = SOURCE.backbone()
    pair = SOURCE.pair(names, PROTOCOL, backbone.image_size)
    runs = [run(variant, pair, PROTOCOL, seed, backbone=backbone, loop=loop) for seed in SEEDS]
    clusterings = [_clusters(done, pair.n_classes) for done in runs]
    precise = [d["metrics"]["mAP"] for done in runs for d in done.row["directions"]]
    return {
        "agreement": 100 * cross_domain_agreement(*clusterings),
        "mAP": sum(precise) / len(precise),
    }


def choose(agreement: dict[Value, float], start: Value) -> Value:
    """The value of highest agreement, unless it is no clear winner over the start."""
    best = max(agreement, key=agreement.__getitem__)
    return best if agreement[best] - agreement[start] >= MARGIN else start


def cross_domain_agreement(one: Sequence[Int[Tensor, " n"]], other: Sequence[Int[Tensor, " n"]]) -> float:
    r"""Cohen's :math:`\kappa` of two clusterings on "this query and that gallery image are of one cluster".

    Only pairs across the domains count, so clusters that hold a single domain earn nothing.

    Args:
        one: Clusters of the first and of the second domain's images, numbers of one clustering.
        other: The same images under another clustering; its numbers need not correspond.
    """
    same = [x[:, None] == y[None] for x, y in (one, other)]
    rates = [s.double().mean() for s in same]
    observed = (same[0] == same[1]).double().mean()
    chance = rates[0] * rates[1] + (1 - rates[0]) * (1 - rates[1])
    return float((observed - chance) / (1 - chance)) if chance < 1 else 0.0


def page(
    pairs: tuple[tuple[str, str], ...],
    best: Setting,
    axes: dict[str, dict[float, Measured]],
    untrained: float,
) -> str:
    """The whole file.

    Args:
        pairs: What was trained on.
        best: The chosen values.
        axes: By axis and value, what was measured.
        untrained: Agreement before training.
    """
    where = ", ".join(" ↔ ".join(pair) for pair in pairs)
    starts = ", ".join(f"{value:g}" for value in START.values())
    chosen = ", ".join(f"`{name}` {value:g}" for name, value in best.items())
    head = f"""# How TPSNet's settings are chosen

Without a label: each setting is trained with seeds {SEEDS[0]} and {SEEDS[1]} on
{where}; k-means (C = number of
classes) clusters either result over both domains, the trained vectors alone (`start_weight` 0);
**agreement** is Cohen's κ (in percent) of the two on "these two images, one of each domain, share a
cluster". The axes are walked in this order, each with the choices of those before it, from
{starts}.
Bold: what is chosen, which is the highest agreement where it lies at least {MARGIN:g} point above that of the
axis's start, else the start. The margin is older than these figures: it comes from a round on
pseudo-labels of single images, after its figures.

That nothing moves is no reason to agree: before training, agreement is {untrained:.1f}.

**mAP** (mean of both directions, both seeds, all pairs) is computed from labels and was not used; it
shows how well the criterion follows the score.

Chosen: {chosen}.
Made by `python -m tools.studies.choose_settings`."""
    tables = [_table(axis, found, best[axis]) for axis, found in axes.items()]
    return "\n\n".join([head, *tables]) + "\n"


def _table(axis: str, found: dict[float, Measured], chosen: float) -> str:
    values = [f"**{value:g}**" if value == chosen else f"{value:g}" for value in found]
    return table(pd.DataFrame(list(found.values()), values)[["agreement", "mAP"]], f"`{axis}`")


def _clusters(done: Run, k: int) -> tuple[Tensor, ...]:
    vectors = [part.vectors for part in done.embeddings]
    found = kmeans(torch.cat(vectors), k, seed=done.row["seed"]).assignment
    return found.split([len(z) for z in vectors])


def _mean(found: Sequence[dict]) -> Measured:
    return {name: sum(f[name] for f in found) / len(found) for name in ("agreement", "mAP")}


if __name__ == "__main__":
    tyro.cli(main)
