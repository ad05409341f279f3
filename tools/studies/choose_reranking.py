"""Choose the settings of re-ranking without a label, into docs/studies/reranking.md.

    python -m tools.studies.choose_reranking

The criterion is stability (Lange et al., Neural Computation 2004): a picture and its mirror image show the
same, so the neighbourhoods of the pictures and those of the mirror images should say the same. Either half is
re-ranked alone, k-means clusters it over both domains, and Cohen's kappa compares which images of one domain
each puts with which of the other. One pair decides for all; mAP is computed from labels after the fact.
"""

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import TypeVar

import pandas as pd
import torch
import torch.nn.functional as F
import tyro
from jaxtyping import Float, Int
from torch import Tensor

from tpsnet.backbone import embed_with_flip
from tpsnet.data import Pair
from tpsnet.evaluation import evaluate
from tpsnet.evaluation.rerank import Diffusion, Expansion, Reranking
from tpsnet.experiments import Closed, Source
from tpsnet.io import write_text
from tpsnet.report.parts import table
from tpsnet.targets import kmeans
from tpsnet.types import Embeddings

Domains = list[Float[Tensor, "_ dim"]]
Value = TypeVar("Value")

RULES: dict[str, dict[str, Reranking]] = {
    "expansion": {f"neighbours {k}": Expansion(neighbours=k) for k in (5, 10, 20)},
    "diffusion": {
        f"neighbours {k}, share {share:g}": Diffusion(neighbours=k, share=share)
        for k, share in product((3, 5, 8, 12, 20), (0.8, 0.9, 0.95, 0.98))
    },
}
START = {"expansion": "neighbours 10", "diffusion": "neighbours 5, share 0.9"}
MARGIN = 1.0  # points of agreement that a value must have over the start's: less is noise
SEEDS = tuple(range(5))  # of k-means: one clustering is a noisy judge


def main(
    pair: tuple[str, str] = ("line", "shaded"),
    card: Path = Path(__file__).parents[2] / "docs" / "studies" / "reranking.md",
) -> None:
    """Measure every setting and write what was found.

    Args:
        pair: Pair of domains that decides.
        card: The file that is written.
    """
    source = Source()
    backbone = source.backbone()
    images = source.pair(pair, Closed(), backbone.resize)
    halves = [embed_with_flip(backbone.encode_image, x) for x in images.images]
    found = {
        name: pd.DataFrame({setting: judge(rule, halves, images) for setting, rule in rules.items()}).T
        for name, rules in RULES.items()
    }
    write_text(card, page(pair, found))
    print(card.read_text(encoding="utf-8"))


def judge(rule: Reranking, halves: list[tuple[Tensor, Tensor]], pair: Pair) -> dict[str, float]:
    """Agreement of the two halves under a rule, and (for the record) the mAP of their mean."""
    alone = [_reranked(rule, [_centred(half[side]) for half in halves]) for side in range(2)]
    agreement = [
        cross_domain_agreement(*(_clusters(domains, pair.n_classes, seed) for domains in alone))
        for seed in SEEDS
    ]
    both = _reranked(rule, [_centred(F.normalize(plain + mirrored, dim=1)) for plain, mirrored in halves])
    whole = [
        Embeddings(d.name, z, d.labels, d.class_names, d.paths)
        for d, z in zip(pair.domains, both, strict=True)
    ]
    precise = [evaluate(*way, ks=(1,)).mean_ap for way in (whole, whole[::-1])]
    return {"agreement": 100 * sum(agreement) / len(SEEDS), "mAP": sum(precise) / 2}


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


def page(pair: tuple[str, str], found: dict[str, pd.DataFrame]) -> str:
    """The whole file.

    Args:
        pair: The pair that decided.
        found: By rule, agreement and mAP of each setting.
    """
    parts = [
        f"""# How the settings of re-ranking are chosen

Without a label, on {" ↔ ".join(pair)} with the embedded CLIP, once for all rows of all tables. The pictures
and their mirror images are re-ranked apart (centred, frozen), k-means clusters either over both domains
(C = number of classes), and **agreement** is Cohen's κ in percent of the two on "these two images, one of
each domain, share a cluster", mean over {len(SEEDS)} seeds of k-means. Bold: what is chosen, which is the
highest agreement where it lies at least {MARGIN:g} point above that of the start, else the start.

**mAP** (mean of both directions, frozen, centred, flip-averaged) is computed from labels and was not used.
Where to start was not blind: the form of the rules, 10 neighbours of expansion, 5 neighbours and share 0.9 of
diffusion were known to help, from figures with labels on all pairs. The exponent 3 comes from the papers.

Made by `python -m tools.studies.choose_reranking`."""
    ]
    for name, frame in found.items():
        best = choose(frame["agreement"].to_dict(), START[name])
        parts += [f"## {name.capitalize()}", table(frame[["agreement", "mAP"]], "setting", bold=[best])]
    return "\n\n".join(parts) + "\n"


def _centred(z: Tensor) -> Tensor:
    return F.normalize(z - z.mean(dim=0), dim=1)


def _reranked(rule: Reranking, domains: Domains) -> Domains:
    return rule(domains[0][:0], domains)[1]


def _clusters(domains: Domains, k: int, seed: int) -> tuple[Tensor, ...]:
    found = kmeans(torch.cat(domains), k, seed=seed).assignment
    return found.split([len(z) for z in domains])


if __name__ == "__main__":
    tyro.cli(main)
