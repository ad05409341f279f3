"""Chooses TPSNet's temperatures, rates, epochs and crop without a label, into docs/settings.md.

    python -m tools.choose_settings

The criterion is stability (Lange et al., Neural Computation 2004): train with two seeds, cluster both
results, and ask whether the two agree on which picture of one domain belongs with which of the other.
Seeds differ in their first clusters, so training that only hardens its own first mistakes loses; training
that finds what is in the pictures wins. One axis at a time, from the middle of each, in the order below.
The mAP beside it is computed from labels after the fact, to show how well the criterion follows it.
"""

import contextlib
import io
import json
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch
import tyro
from jaxtyping import Int
from torch import Tensor

from tpsnet.backbone import embedded_clip, load_backbone
from tpsnet.data import AugmentConfig, embedded_root
from tpsnet.engine import FitConfig, fit
from tpsnet.experiment import directions
from tpsnet.methods import Frozen, TPSNet, TPSNetConfig
from tpsnet.pair import embeddings, load_pair
from tpsnet.progress import Progress
from tpsnet.targets import kmeans
from tpsnet.types import Embeddings

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
Setting = dict[str, float]


def main(
    pairs: tuple[tuple[str, str], ...] = (("line", "shaded"), ("flat", "solid")),
    rows: Path = Path("runs/settings/rows.jsonl"),
    card: Path = Path(__file__).parents[1] / "docs" / "settings.md",
    workers: int = 2,
) -> None:
    """Walk the axes and write what was found.

    Args:
        pairs: pairs of domains to train on.
        rows: where each result is kept; a second call goes on from there.
        card: the file that is written.
        workers: processes with one thread each, which on few cores is faster than one with more.
    """
    rows.parent.mkdir(parents=True, exist_ok=True)
    known = {}
    for line in rows.read_text(encoding="utf-8").splitlines() if rows.is_file() else []:
        found = json.loads(line)
        known[_key(found["setting"], found["pair"])] = found
    best, tables = dict(START), []
    spawn = multiprocessing.get_context("spawn")
    total = len(pairs) * sum(map(len, AXES.values()))
    with (
        ProcessPoolExecutor(workers, spawn, torch.set_num_threads, (1,)) as pool,
        Progress(total, "s") as bar,
    ):
        for axis, values in AXES.items():
            jobs = [(best | {axis: value}, pair) for value in values for pair in pairs]
            waiting = {_key(*job): pool.submit(judge, *job) for job in jobs if _key(*job) not in known}
            for job in jobs:
                if _key(*job) in waiting:
                    known[_key(*job)] = found = waiting[_key(*job)].result()
                    with rows.open("a", encoding="utf-8") as stream:
                        stream.write(json.dumps(found) + "\n")
                bar.step(f"{axis} {job[0][axis]:g} {' ↔ '.join(job[1])}")
            mean = {v: _mean([known[_key(best | {axis: v}, pair)] for pair in pairs]) for v in values}
            best[axis] = choose({v: mean[v]["agreement"] for v in values}, START[axis])
            tables.append(table(axis, mean, best[axis]))
    untrained = sum(map(before_training, pairs)) / len(pairs)
    card.write_text(page(pairs, best, tables, untrained), encoding="utf-8")
    print(card.read_text(encoding="utf-8"))


def choose(agreement: dict[float, float], start: float) -> float:
    """The value of highest agreement, unless it is no clear winner over the start."""
    best = max(agreement, key=agreement.__getitem__)
    return best if agreement[best] - agreement[start] >= MARGIN else start


def judge(setting: Setting, names: tuple[str, str]) -> dict:
    """Train one setting on one pair with both seeds; how far the two agree, and (for the record) the mAP."""
    backbone = load_backbone(embedded_clip())
    pair = load_pair(embedded_root(), names, backbone.image_size)
    own = {name: value for name, value in setting.items() if name != "crop"}
    # The start's share of an embedding is no merit of the training: it agrees with itself.
    own |= {"epochs": int(setting["epochs"]), "start_weight": 0.0}
    augment = AugmentConfig(crop_scale=(setting["crop"], 1.0))
    clusterings, precise = [], []
    for seed in SEEDS:
        cfg = TPSNetConfig(clusters=pair.n_classes, seed=seed, **own)
        method = TPSNet(backbone, *pair.images, cfg)
        with contextlib.redirect_stdout(io.StringIO()):
            fit(method, pair.images, FitConfig(seed=seed, augment=augment))
        both = embeddings(method, pair)
        clusterings.append(_clusters(both, pair.n_classes, seed))
        precise.append(sum(d["mAP@All"] for d in directions(both, None, seed)) / 2)
    agreement = 100 * cross_domain_agreement(*clusterings)
    return {
        "setting": setting,
        "pair": list(names),
        "agreement": agreement,
        "mAP": sum(precise) / len(precise),
    }


def before_training(names: tuple[str, str]) -> float:
    """Agreement of two clusterings of the centred floor, which an untrained TPSNet is."""
    backbone = load_backbone(embedded_clip())
    pair = load_pair(embedded_root(), names, backbone.image_size)
    floor = embeddings(Frozen(backbone, pair.images), pair)
    return 100 * cross_domain_agreement(*(_clusters(floor, pair.n_classes, seed) for seed in SEEDS))


def cross_domain_agreement(one: Sequence[Int[Tensor, " n"]], other: Sequence[Int[Tensor, " n"]]) -> float:
    r"""Cohen's :math:`\kappa` of two clusterings on "this query and that gallery picture are of one cluster".

    Only pairs across the domains count, so clusters that hold a single domain earn nothing.

    Args:
        one: clusters of the first and of the second domain's pictures, numbers of one clustering.
        other: the same pictures under another clustering; its numbers need not correspond.
    """
    same = [x[:, None] == y[None] for x, y in (one, other)]
    rates = [s.double().mean() for s in same]
    observed = (same[0] == same[1]).double().mean()
    chance = rates[0] * rates[1] + (1 - rates[0]) * (1 - rates[1])
    return float((observed - chance) / (1 - chance)) if chance < 1 else 0.0


def table(axis: str, mean: dict[float, dict], chosen: float) -> str:
    """One axis as Markdown."""
    lines = [
        f"| {f'**{value:g}**' if value == chosen else f'{value:g}'} | {m['agreement']:.1f} | {m['mAP']:.1f} |"
        for value, m in mean.items()
    ]
    return "\n".join([f"| `{axis}` | agreement | mAP@All |", "|---|---|---|", *lines])


def page(pairs: tuple[tuple[str, str], ...], best: Setting, tables: list[str], untrained: float) -> str:
    """The whole file."""
    where = ", ".join(" ↔ ".join(pair) for pair in pairs)
    starts = ", ".join(f"{value:g}" for value in START.values())
    chosen = ", ".join(f"`{name}` {value:g}" for name, value in best.items())
    return (
        f"""# How TPSNet's settings are chosen

Without a label: each setting is trained with seeds {SEEDS[0]} and {SEEDS[1]} on
{where}; k-means (C = number of
classes) clusters either result over both domains, the trained vectors alone (`start_weight` 0);
**agreement** is Cohen's κ (in percent) of the two on "these two pictures, one of each domain, share a
cluster". The axes are walked in this order, each with the choices of those before it, from
{starts}.
Bold: what is chosen, which is the highest agreement where it lies at least {MARGIN:g} point above that of the
axis's start, else the start. The margin is older than these figures: it comes from a round on
pseudo-labels of single pictures, after its figures.

That nothing moves is no reason to agree: before training, agreement is {untrained:.1f}.

**mAP@All** (mean of both directions, both seeds, all pairs) is computed from labels and was not used; it
shows how well the criterion follows the score.

Chosen: {chosen}.
Made by `python -m tools.choose_settings`.

"""
        + "\n\n".join(tables)
        + "\n"
    )


def _clusters(both: Sequence[Embeddings], k: int, seed: int) -> tuple[Tensor, ...]:
    vectors = [part.vectors for part in both]
    found = kmeans(torch.cat(vectors), k, seed=seed).assignment
    return found.split([len(z) for z in vectors])


def _key(setting: Setting, pair: Sequence[str]) -> str:
    return json.dumps([setting, list(pair)], sort_keys=True)


def _mean(found: list[dict]) -> dict[str, float]:
    return {name: sum(f[name] for f in found) / len(found) for name in ("agreement", "mAP")}


if __name__ == "__main__":
    tyro.cli(main)
