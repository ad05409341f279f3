"""Two domains in, scores out: how a row of a results table is made, and a run folder of one training."""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from tpsnet.backbone import Backbone, MoCo, load_backbone
from tpsnet.data import image_folder, load_images, restrict, shared_classes
from tpsnet.engine import FitConfig, Method, fit
from tpsnet.evaluation import evaluate
from tpsnet.files import replacing
from tpsnet.methods import UEM, Frozen, TPSNet, TPSNetConfig, UEMConfig
from tpsnet.targets import reject_distant, reject_unmerged
from tpsnet.types import Domain, Embeddings, Images


@dataclass(frozen=True)
class Pair:
    """Two domains, with and without labels: the first for scores, the second for methods."""

    domains: tuple[Domain, Domain]
    images: tuple[Images, Images]

    @property
    def names(self) -> tuple[str, str]:
        """Names of the two domains."""
        return self.domains[0].name, self.domains[1].name

    @property
    def n_classes(self) -> int:
        """Number of classes of either domain: the preset C of the methods, as in the literature."""
        return len(torch.cat([domain.labels for domain in self.domains]).unique())

    def restrict(self, setting: str, seed: int) -> "Pair":
        """The first domain as queries, the second as gallery, with the label spaces of ``data.restrict``."""
        return self.subset(restrict(*self.domains, setting, seed))

    def subset(self, keep: tuple[Sequence[int], Sequence[int]]) -> "Pair":
        """The pictures at some positions of each domain."""
        return Pair(
            tuple(d.subset(k) for d, k in zip(self.domains, keep, strict=True)),
            tuple(i.subset(k) for i, k in zip(self.images, keep, strict=True)),
        )


def _tpsnet(**changes: object) -> Callable[[Backbone, Pair, int], Method]:
    return lambda backbone, pair, seed: TPSNet(
        backbone, *pair.images, TPSNetConfig(**{"clusters": pair.n_classes, "seed": seed} | changes)
    )


def _uem(**changes: object) -> Callable[[Backbone, Pair, int], Method]:
    return lambda backbone, pair, seed: UEM(backbone, *pair.images, UEMConfig(seed=seed, **changes))


# Name of a row, and how its method is made; the floors train nothing, and are centred or not.
FLOORS = {"frozen CLIP": False, "frozen CLIP, centred": True}
TRAINED = {
    "TPSNet": _tpsnet(),
    "TPSNet, no text prior": _tpsnet(text_prior=False),
    "TPSNet, no phase prior": _tpsnet(phase_prior=False),
}
SWITCHES = {
    "TPSNet, the nearest prompt asks": _tpsnet(synergy="assigned"),
    "TPSNet, prompts ask the pooled vector": _tpsnet(synergy="literal"),
    "TPSNet, each domain clustered alone": _tpsnet(joint_clusters=False),
    "TPSNet, the trained vector alone": _tpsnet(start_weight=0.0),
}
UNIVERSAL = {
    "UEM": _uem(),
    "UEM, merging by eq. 9": _uem(merge="global"),
    "UEM, no merging": _uem(merge="none"),
    "UEM, no SEL": _uem(sel=False),
    "UEM, no SPDA": _uem(spda=False),
    "UEM, no SN²M": _uem(sn2m=False),
}
RECIPES = TRAINED | SWITCHES | UNIVERSAL


def load_pair(root: Path, names: tuple[str, str], size: int, classes: int = 0) -> Pair:
    """Decode two domains of a picture folder at the backbone's size.

    Args:
        root: folder of domains.
        names: two of them.
        size: side of the decoded pictures.
        classes: how many classes to keep, the first of the class table; 0 keeps all.

    Raises:
        InputError: the folder or a domain is missing or empty, or the two share no class.
    """
    found = image_folder(root, names)
    loaded = [load_images(found[name], size) for name in names]
    pair = Pair(tuple(d for d, _ in loaded), tuple(i for _, i in loaded))
    if classes:
        pair = pair.subset(tuple((d.labels < classes).nonzero()[:, 0].tolist() for d in pair.domains))
    shared_classes(*pair.domains)
    return pair


def embeddings(method: Frozen | Method, pair: Pair) -> tuple[Embeddings, Embeddings]:
    """Both domains through a method: from here on there are no models."""
    return tuple(
        Embeddings(d.name, method.embed(i), d.labels, d.class_names, d.paths)
        for d, i in zip(pair.domains, pair.images, strict=True)
    )


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
    """
    chosen = pair if setting is None else pair.restrict(setting, seed)
    if name in FLOORS:
        method, seeds = Frozen(backbone, chosen.images if FLOORS[name] else ()), ()
    else:
        method, seeds = RECIPES[name](backbone, chosen, seed), (seed,)
        fit(method, chosen.images, FitConfig(seed=seed, run=run))
    found = directions(judged(method, chosen, setting, seed), setting, seed, seeds=seeds)
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
        name: ``"TPSNet"`` or ``"UEM"``.
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
    recipe = {"TPSNet": _tpsnet, "UEM": _uem}[name]
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
