"""Two domains in, scores out: how a row of a results table is made, and a run folder of one training."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

from tpsnet.backbone import Backbone, MoCo, load_backbone
from tpsnet.engine import FitConfig, Method, fit
from tpsnet.evaluation import evaluate, save_both
from tpsnet.files import replacing
from tpsnet.methods import UEM, Frozen
from tpsnet.pair import Pair, embeddings, load_pair
from tpsnet.recipes import FLOORS, RECIPES, clair, tpsnet, uem
from tpsnet.targets import reject_distant, reject_unmerged
from tpsnet.types import Embeddings


def with_verdicts(method: Frozen | Method, query: Embeddings, gallery: Embeddings, seed: int) -> Embeddings:
    """The queries, each with a verdict of open-set detection: UEM's own rule, or the one for the others.

    The others are given the number of classes among the queries, as they are given C for training. A verdict
    merges prototypes also for a UEM that was trained without merging: else every query would be rejected.
    """
    if isinstance(method, UEM):
        merge = "local" if method.cfg.merge == "none" else method.cfg.merge
        clusters = method.n_clusters
        found = reject_unmerged(query.vectors, gallery.vectors, clusters, seed=seed, merge=merge)
    else:
        clusters = len(query.labels.unique())
        found = reject_distant(query.vectors, gallery.vectors, clusters, seed=seed)
    return dataclasses.replace(query, rejected=found.rejected)


def score(query: Embeddings, gallery: Embeddings, **card: object) -> dict:
    """One direction in percent: P@k in both conventions, mAP@All, detection where there are verdicts."""
    scores = evaluate(query, gallery, **card)
    return {
        "query": query.domain,
        "gallery": gallery.domain,
        **{f"P@{k}": p for k, p in scores.precision.items()},
        **{f"plain P@{k}": p for k, p in scores.plain_precision.items()},
        "mAP@All": scores.mean_ap,
        **(dataclasses.asdict(scores.detection) if scores.detection else {}),
        "card": dataclasses.asdict(scores.card),
    }


def judged(
    method: Frozen | Method, pair: Pair, setting: str | None, seed: int
) -> tuple[Embeddings, Embeddings]:
    """Both domains through a method; under a universal setting the first with its verdicts."""
    query, gallery = embeddings(method, pair)
    return (query if setting is None else with_verdicts(method, query, gallery, seed)), gallery


def directions(
    both: tuple[Embeddings, Embeddings], setting: str | None, seed: int, **card: object
) -> list[dict]:
    """Scores of both directions of a pair; or of the queries' one under a universal setting."""
    if setting is None:
        return [score(*both, **card), score(*both[::-1], **card)]
    return [score(*both, label_spaces=f"{setting}, drawn by seed {seed}", **card)]


def run_row(
    name: str,
    backbone: Backbone | MoCo,
    pair: Pair,
    seed: int,
    setting: str | None = None,
    run: Path | None = None,
    kept: Path | None = None,
) -> dict:
    """Train (if the row trains) and score one row on one pair.

    Args:
        name: a key of ``FLOORS`` or ``RECIPES``.
        backbone: the CLIP; it is not changed.
        pair: the two domains.
        seed: of label spaces, clusters, weights, batches and augmentation.
        setting: a label space of ``data.restrict``, where the first domain asks; ``None`` takes the pair as
            it is, in both directions.
        run: folder for the training's log and checkpoint.
        kept: folder for the embeddings, see ``evaluation.saved``.
    """
    chosen = pair if setting is None else pair.restrict(setting, seed)
    if name in FLOORS:
        method, seeds = Frozen(backbone, chosen.images if FLOORS[name] else ()), ()
    else:
        method, seeds = RECIPES[name](backbone, chosen, seed), (seed,)
        fit(method, chosen.images, FitConfig(seed=seed, run=run))
    both = judged(method, chosen, setting, seed)
    if kept is not None:
        save_both(kept, setting or "closed", name, both)
    found = directions(both, setting, seed, seeds=seeds)
    return {"row": name, "seed": seed, "pair": list(pair.names), "setting": setting, "directions": found}


def train_pair(
    root: Path,
    names: tuple[str, str],
    run: Path,
    *,
    model: str,
    pretrained: str | None = None,
    device: str = "cpu",
    name: str = "TPSNet",
    setting: str | None = None,
    seed: int = 0,
    resume: bool = False,
    changes: Mapping[str, object] | None = None,
    loop: Mapping[str, object] | None = None,
) -> list[dict]:
    """Train one method on one pair and keep all of it in the run folder.

    Writes ``checkpoint.safetensors``, ``log.jsonl`` and TensorBoard events while it trains, then
    ``before/`` and ``after/`` with both domains' ``Embeddings`` (frozen CLIP, the method), ``scores.json``.

    Args:
        root: folder of domains.
        names: two of them.
        run: the run folder.
        model: address or name of the CLIP.
        pretrained: tag of a named CLIP.
        device: where to compute.
        name: ``"TPSNet"``, ``"UEM"`` or ``"CLAIR"``.
        setting: see ``run_row``.
        seed: see ``run_row``.
        resume: go on from the folder's checkpoint.
        changes: fields of the method's settings.
        loop: fields of ``FitConfig``.

    Returns:
        The rows of ``scores.json``: both floors and the method.
    """
    backbone = load_backbone(model, pretrained, device)
    whole = load_pair(root, names, backbone.image_size)
    rows = [
        run_row(floor, backbone, whole, seed, setting) for floor in FLOORS
    ]  # what cannot be scored ends here
    pair = whole if setting is None else whole.restrict(setting, seed)
    recipe = {"TPSNet": tpsnet, "UEM": uem, "CLAIR": clair}[name]
    method = recipe(**changes or {})(backbone, pair, seed)
    fit(method, pair.images, FitConfig(run=run, resume=resume, seed=seed, **loop or {}))
    for folder, trained in (("before", Frozen(backbone)), ("after", method)):
        both = judged(trained, pair, setting, seed)
        for part in both:
            part.save(run / folder / f"{part.domain}.safetensors")
    found = directions(both, setting, seed, seeds=(seed,))
    rows.append({"row": name, "seed": seed, "pair": list(names), "setting": setting, "directions": found})
    with replacing(run / "scores.json") as partial:
        partial.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    for row in rows:
        for d in row["directions"]:
            where = f"{d['query']} → {d['gallery']}"
            print(f"{where}  {row['row']:22s} mAP@All {d['mAP@All']:.1f}  P@1 {d['P@1']:.1f}")
    return rows
