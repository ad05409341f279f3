"""One run, for tables, shell and notebooks: a method on a pair under a protocol, from training to scores."""

import dataclasses
import json
import platform
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from tpsnet import distributed
from tpsnet.backbone import Backbone, LayerRates, MoCo, TowerConfig
from tpsnet.data import Pair
from tpsnet.evaluation import METRIC_VERSION, RERANKINGS, save_both
from tpsnet.experiments.protocols import Protocol
from tpsnet.experiments.variants import Variant
from tpsnet.methods import METHODS, Method, embeddings, with_rejections
from tpsnet.settings import Seed, check
from tpsnet.training import FitConfig, fit
from tpsnet.types import Embeddings


@dataclass(frozen=True, eq=False)
class Run:
    """What a run leaves.

    Attributes:
        method: The trained method.
        embeddings: Both domains' test images through it; the queries carry rejections where the protocol
            asks for them.
        row: Name, seed, pair, protocol, what made it, the directions with metrics and cards, and the
            machine; JSON-able.
        history: The log of the training, one entry an epoch.
    """

    method: Method
    embeddings: tuple[Embeddings, Embeddings]
    row: dict
    history: list[dict]


def run(
    variant: Variant,
    pair: Pair,
    protocol: Protocol,
    seed: int,
    folder: Path | None = None,
    *,
    backbone: Backbone | MoCo,
    loop: FitConfig | None = None,
    resume: bool = False,
    keep: Path | None = None,
) -> Run:
    """Train (if the method trains), embed, score.

    Of several processes that train together (``distributed.joined``) the first scores and writes; the rows of
    the others have no directions.

    Args:
        variant: The method and its config.
        pair: Two domains.
        protocol: What training may see, and what is scored how.
        seed: Seed of label spaces, clusters, weights, batches and augmentation.
        folder: Run folder for log, checkpoint and the trained artefact; ``None`` writes nothing.
        backbone: The backbone; it is not changed.
        loop: How to train.
        resume: Whether to go on from the folder's checkpoint.
        keep: Folder for the embeddings, see ``evaluation.saved``.

    Raises:
        InputError: what cannot be scored, and settings that do not fit, before any training; see ``fit``.
    """
    check("seed", Seed, seed)
    loop = loop or FitConfig()
    arranged = protocol.arrange(pair, seed)
    method = make(variant, arranged.train, seed, backbone)
    history = fit(method, arranged.train.images, loop, folder=folder, resume=resume)
    with distributed.together():
        both = embeddings(method, arranged.test)
    reject = partial(with_rejections, method, seed=seed) if protocol.rejects else None
    first = distributed.is_first()
    both = reject(both) if reject and first else both
    if keep is not None and first:
        save_both(keep, protocol.name, variant.name, protocol.kept(both, arranged))
    scoring = {"seed": seed, "trained": variant.trains, "reject": reject, "device": method.device}
    row = {
        "name": variant.name,
        "seed": seed,
        "pair": list(pair.names),
        "protocol": protocol.name,
        "config": dataclasses.asdict(method.cfg),
        "made_with": made_with(variant, pair.names, protocol, seed, loop, backbone),
        "directions": protocol.score(both, arranged, **scoring) if first else [],
        "machine": _machine(method.device),
    }
    return Run(method, both, row, history)


def make(variant: Variant, train: Pair, seed: int, backbone: Backbone | MoCo) -> Method:
    """A method with all that its protocol tells it, not yet prepared.

    Args:
        variant: The method and its config.
        train: The images that training may see; their class names are told to methods that ask.
        seed: Seed of the method.
        backbone: The backbone.

    Raises:
        InputError: a setting does not fit the backbone or the images.
    """
    kind, config = METHODS[variant.method].method, variant.config.told(train.class_names)
    kind.check(backbone, config, train.images)
    method = kind(backbone, config, seed)
    if variant.oracle:
        method.oracle = train.class_rows
    return method


def later(backbone: Backbone | MoCo) -> tuple[str, ...]:
    """What ``made_with`` says that rows of before do not, latest first; at first all were resized plainly."""
    return ("quick_gelu", "preprocessing") if backbone.resize.plain else ("quick_gelu",)


def _machine(device: torch.device) -> str:
    """Where a row was computed: another machine rounds otherwise."""
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{platform.machine()} processor"
    return f"{where}, torch {torch.__version__}"


def made_with(
    variant: Variant,
    names: tuple[str, str],
    protocol: Protocol,
    seed: int,
    loop: FitConfig,
    backbone: Backbone | MoCo,
) -> dict:
    """Everything a row depends on but the images, JSON-able: two rows with the same are the same row.

    How a tower is run, its layers learn, what optimises and a split are named where they are not the default,
    which older rows have.
    """
    config, fit = dataclasses.asdict(variant.config), loop.facts()
    named = {"tower": fit.pop("tower"), "layers": config.pop("layers", None)}
    if fit["optimizer"] == FitConfig.optimizer:
        del fit["optimizer"]
    shown = {"name": protocol.name} | dataclasses.asdict(protocol)
    if shown.get("split") is None:
        shown.pop("split", None)
    plain = ({"precision": TowerConfig.precision}, dataclasses.asdict(LayerRates()), None)
    values = {
        "name": variant.name,
        "method": variant.method,
        "config": config,
        "seed": seed,
        "oracle": variant.oracle,
        "pair": names,
        "protocol": shown,
        "lists": protocol.fingerprint(names),
        "rerankings": {name: dataclasses.asdict(RERANKINGS[name]) for name in protocol.rerankings},
        "fit": fit,
        "backbone": backbone.identity,
        "preprocessing": backbone.preprocessing,
        "quick_gelu": backbone.quick_gelu,
        "device": backbone.mean.device.type,
        "metrics": METRIC_VERSION,
    }
    values |= {name: value for name, value in named.items() if value not in plain}
    return json.loads(json.dumps(values, default=str))
