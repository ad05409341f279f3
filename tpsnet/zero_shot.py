"""Zero-shot retrieval with any method: train on the seen classes of a pair, score on the unseen ones."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import torch

from tpsnet.backbone import Backbone, MoCo
from tpsnet.data import ZeroShotSplit
from tpsnet.engine import FitConfig, fit
from tpsnet.evaluation import evaluate_zero_shot, save_both
from tpsnet.evaluation.zero_shot import SETTING
from tpsnet.methods import Frozen
from tpsnet.pair import Pair, embeddings
from tpsnet.recipes import FLOORS, RECIPES
from tpsnet.types import Embeddings, InputError


@dataclass(frozen=True)
class ZeroShotPair:
    """A pair of domains divided by a split of its classes.

    Attributes:
        seen: the pictures that training may touch. All means and clusters come from them.
        unseen: the pictures that ask, and the gallery of unseen classes.
        whole: the generalised galleries: unseen and seen classes.
    """

    seen: Pair
    unseen: Pair
    whole: Pair

    @classmethod
    def divide(cls, pair: Pair, split: ZeroShotSplit) -> "ZeroShotPair":
        """Divide both domains of a pair."""
        parts = (split.train, split.test, split.generalised)
        return cls(*(pair.subset(tuple(part(d) for d in pair.domains)) for part in parts))


def run_zero_shot(
    name: str,
    backbone: Backbone | MoCo,
    pair: ZeroShotPair,
    seed: int,
    *,
    kept: Path | None = None,
    mode: str = "voc_minR",
    ks: tuple[int, ...] = (100, 200),
) -> dict:
    """Train (if the row trains) on the seen classes and score the unseen ones, in both directions.

    Args:
        name: a key of ``FLOORS`` or ``RECIPES``.
        backbone: the CLIP; it is not changed.
        pair: the divided pair.
        seed: of clusters, weights, batches and augmentation.
        kept: folder for the embeddings of unseen classes, see ``evaluation.saved``.
        mode: definition of the metrics, see ``evaluation.zero_shot``.
        ks: their depths.

    Returns:
        The row, with the directions of ``score_zero_shot``.

    Raises:
        InputError: a depth beyond the gallery, before any training; see ``engine.fit``.
    """
    smallest = min(map(len, pair.unseen.domains))
    if max(ks) > smallest:
        raise InputError(
            f"k = {max(ks)} with {smallest} pictures of unseen classes; choose smaller k or more classes"
        )
    if name in FLOORS:
        method, seeds = Frozen(backbone, pair.seen.images if FLOORS[name] else ()), ()
    else:
        method, seeds = RECIPES[name](backbone, pair.seen, seed), (seed,)
        fit(method, pair.seen.images, FitConfig(seed=seed))
    whole = embeddings(method, pair.whole)
    if kept is not None:
        save_both(kept, SETTING, name, of_unseen(whole, pair))
    found = score_zero_shot(whole, pair, seeds=seeds, mode=mode, ks=ks)
    return {"row": name, "seed": seed, "pair": list(pair.seen.names), "setting": SETTING, "directions": found}


def of_unseen(whole: tuple[Embeddings, Embeddings], pair: ZeroShotPair) -> tuple[Embeddings, Embeddings]:
    """The embeddings of unseen classes among those of both generalised galleries."""
    unseen = torch.tensor(pair.unseen.classes)
    return tuple(part.subset(torch.isin(part.labels, unseen).nonzero()[:, 0].tolist()) for part in whole)


def score_zero_shot(
    whole: tuple[Embeddings, Embeddings],
    pair: ZeroShotPair,
    *,
    seeds: tuple[int, ...] = (),
    mode: str = "voc_minR",
    ks: tuple[int, ...] = (100, 200),
) -> list[dict]:
    """Scores of what a method makes of ``pair.whole``.

    Args:
        whole: embeddings of both generalised galleries.
        pair: the divided pair.
        seeds: for the card.
        mode: definition of the metrics.
        ks: their depths.

    Returns:
        Two directions under the gallery of unseen classes, then two under the generalised one.
    """
    asking, found = of_unseen(whole, pair), []
    for kind, galleries in (("unseen", asking), ("generalised", whole)):
        for q, g in ((0, 1), (1, 0)):
            rules = {"mode": mode, "ks": ks, "seeds": seeds, "label_spaces": f"zero-shot, {kind} gallery"}
            found.append({"kind": kind, **_score(asking[q], galleries[g], **rules)})
    return found


def _score(query: Embeddings, gallery: Embeddings, **rules: object) -> dict:
    scores = evaluate_zero_shot(query, gallery, **rules)
    return {
        "query": query.domain,
        "gallery": gallery.domain,
        "mAP@all": scores.mean_ap,
        **{f"mAP@{k}": v for k, v in scores.mean_ap_at.items()},
        **{f"Prec@{k}": v for k, v in scores.precision.items()},
        "card": dataclasses.asdict(scores.card),
    }
