"""The rows of the results table: every method on every pair and seed, one JSON line each, resumable."""

import contextlib
import dataclasses
import io
import itertools
import json
from dataclasses import dataclass
from pathlib import Path

from joblib import Parallel, delayed

from tpsnet.backbone import Backbone, load_backbone
from tpsnet.data import image_folder, load_images, shared_classes
from tpsnet.engine import FitConfig, fit
from tpsnet.evaluation import evaluate
from tpsnet.methods import Frozen, TPSNet, TPSNetConfig
from tpsnet.progress import Progress
from tpsnet.types import Domain, Embeddings, Images, InputError

# Name of a row, and what it changes in TPSNet's settings; the floors train nothing.
FLOORS = {"frozen CLIP": False, "frozen CLIP, centred": True}
TRAINED: dict[str, dict[str, object]] = {
    "TPSNet": {},
    "TPSNet, no text prior": {"text_prior": False},
    "TPSNet, no phase prior": {"phase_prior": False},
}
SWITCHES: dict[str, dict[str, object]] = {
    "TPSNet, the nearest prompt asks": {"synergy": "assigned"},
    "TPSNet, prompts ask the pooled vector": {"synergy": "literal"},
    "TPSNet, each domain clustered alone": {"joint_clusters": False},
}


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
        """Number of shared classes: the preset C of the methods, as in the literature."""
        return len(shared_classes(*self.domains))


def load_pair(root: Path, names: tuple[str, str], size: int) -> Pair:
    """Decode two domains of a picture folder at the backbone's size.

    Raises:
        InputError: the folder or a domain is missing or empty, or the two share no class.
    """
    found = image_folder(root, names)
    loaded = [load_images(found[name], size) for name in names]
    pair = Pair(tuple(d for d, _ in loaded), tuple(i for _, i in loaded))
    shared_classes(*pair.domains)
    return pair


def embeddings(method: Frozen | TPSNet, pair: Pair) -> tuple[Embeddings, Embeddings]:
    """Both domains through a method: from here on there are no models."""
    return tuple(
        Embeddings(d.name, method.embed(i), d.labels, d.class_names, d.paths)
        for d, i in zip(pair.domains, pair.images, strict=True)
    )


def score(both: tuple[Embeddings, Embeddings], **card: object) -> list[dict]:
    """P@k in both conventions and mAP@All, in percent, for both directions."""
    directions = []
    for query, gallery in (both, both[::-1]):
        scores = evaluate(query, gallery, **card)
        directions.append(
            {
                "query": query.domain,
                "gallery": gallery.domain,
                **{f"P@{k}": p for k, p in scores.precision.items()},
                **{f"plain P@{k}": p for k, p in scores.plain_precision.items()},
                "mAP@All": scores.mean_ap,
                "card": dataclasses.asdict(scores.card),
            }
        )
    return directions


def run_row(name: str, backbone: Backbone, pair: Pair, seed: int, run: Path | None = None) -> dict:
    """Train (if the row trains) and score one row on one pair, in both directions.

    Args:
        name: a key of ``FLOORS``, ``TRAINED`` or ``SWITCHES``.
        backbone: the CLIP; it is not changed.
        pair: the two domains.
        seed: of clusters, weights, batches and augmentation; the floors have none.
        run: folder for the training's log and checkpoint.
    """
    if name in FLOORS:
        directions = score(embeddings(Frozen(backbone, centre=FLOORS[name]), pair))
    else:
        settings = TPSNetConfig(clusters=pair.n_classes, seed=seed, **(TRAINED | SWITCHES)[name])
        method = TPSNet(backbone, *pair.images, settings)
        fit(method, pair.images, FitConfig(seed=seed, run=run))
        directions = score(embeddings(method, pair), seeds=(seed,))
    return {"row": name, "seed": seed, "pair": list(pair.names), "directions": directions}


def train_pair(
    root: Path,
    names: tuple[str, str],
    run: Path,
    *,
    model: str,
    pretrained: str | None = None,
    device: str = "cpu",
    seed: int = 0,
    resume: bool = False,
) -> list[dict]:
    """Train TPSNet on one pair and keep all of it in the run folder.

    Writes ``checkpoint.safetensors``, ``log.jsonl`` and TensorBoard events while it trains, then
    ``before/`` and ``after/`` with both domains' ``Embeddings`` (centred CLIP, TPSNet) and ``scores.json``.

    Returns:
        The rows of ``scores.json``: both floors and TPSNet, each in both directions.
    """
    backbone = load_backbone(model, pretrained, device)
    pair = load_pair(root, names, backbone.image_size)
    rows = [run_row(name, backbone, pair, seed) for name in FLOORS]  # first: what cannot be scored ends here
    method = TPSNet(backbone, *pair.images, TPSNetConfig(clusters=pair.n_classes, seed=seed))
    fit(method, pair.images, FitConfig(run=run, resume=resume, seed=seed))
    for folder, trained in (("before", Frozen(backbone, centre=True)), ("after", method)):
        both = embeddings(trained, pair)
        for part in both:
            part.save(run / folder / f"{part.domain}.safetensors")
    directions = score(both, seeds=(seed,))
    rows.append({"row": "TPSNet", "seed": seed, "pair": list(names), "directions": directions})
    partial = run / "scores.json.partial"
    partial.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    partial.replace(run / "scores.json")
    for row in rows:
        for d in row["directions"]:
            where = f"{d['query']} → {d['gallery']}"
            print(f"{where}  {row['row']:22s} mAP@All {d['mAP@All']:.1f}  P@1 {d['P@1']:.1f}")
    return rows


@dataclass(frozen=True)
class TableConfig:
    """Which rows to fill.

    Attributes:
        folder: where ``rows.jsonl`` grows; a second call fills in what is missing.
        root: folder of domains.
        pairs: pairs of domain names; both directions are scored.
        seeds: of the trained rows.
        model: address or name of the CLIP.
        pretrained: tag of a named CLIP.
        device: where to compute.
        names: the rows, keys of ``FLOORS``, ``TRAINED`` and ``SWITCHES``.
        workers: processes that share the processor's threads and fill rows at the same time.
    """

    folder: Path
    root: Path
    pairs: tuple[tuple[str, str], ...]
    seeds: tuple[int, ...]
    model: str
    pretrained: str | None = None
    device: str = "cpu"
    names: tuple[str, ...] = (*FLOORS, *TRAINED)
    workers: int = 1


def all_pairs(root: Path) -> tuple[tuple[str, str], ...]:
    """Every unordered pair of the folder's domains."""
    return tuple(itertools.combinations(image_folder(root), 2))


def fill_table(cfg: TableConfig) -> list[dict]:
    """Run every missing row; give back all rows that ``cfg`` asks for.

    A killed call loses the rows it was at; the next call goes on from there.

    Raises:
        InputError: ``rows.jsonl`` was made with another CLIP, other pictures or other settings.
    """
    jobs = [
        (name, seed, pair)
        for pair in cfg.pairs
        for name in cfg.names
        for seed in ((0,) if name in FLOORS else cfg.seeds)
    ]
    file = cfg.folder / "rows.jsonl"
    rows = _open_rows(file, _settings(cfg))
    missing = [job for job in jobs if job not in rows]
    size = load_backbone(cfg.model, cfg.pretrained, cfg.device).image_size
    for pair in {names: None for _, _, names in missing}:
        load_pair(cfg.root, pair, size)  # decoded once, and complained about once, before any training
    parallel = Parallel(cfg.workers, return_as="generator_unordered")
    with Progress(len(jobs), "table") as progress:
        progress.skip(len(jobs) - len(missing))
        for row in parallel(delayed(_run_job)(cfg, *job) for job in missing):
            job = row["row"], row["seed"], tuple(row["pair"])
            rows[job] = row
            with file.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(row) + "\n")
            progress.step(f"{' ↔ '.join(job[2])}: {job[0]}, seed {job[1]}")
    return [rows[job] for job in jobs]


def _run_job(cfg: TableConfig, name: str, seed: int, names: tuple[str, str]) -> dict:
    """One row; of several at the same time none writes to the terminal."""
    with contextlib.ExitStack() as quiet:
        if cfg.workers > 1:
            quiet.enter_context(contextlib.redirect_stdout(io.StringIO()))
            quiet.enter_context(contextlib.redirect_stderr(io.StringIO()))
        backbone = load_backbone(cfg.model, cfg.pretrained, cfg.device)
        return run_row(name, backbone, load_pair(cfg.root, names, backbone.image_size), seed)


def _settings(cfg: TableConfig) -> dict:
    """What all rows of a file share."""
    return {
        "root": str(cfg.root.resolve()),
        "model": cfg.model,
        "pretrained": cfg.pretrained,
        "method": dataclasses.asdict(TPSNetConfig(clusters=0)),
        "fit": dataclasses.asdict(FitConfig()),
    }


def _open_rows(file: Path, settings: dict) -> dict[tuple, dict]:
    """Rows of an earlier call by (row, seed, pair); the first line of the file holds the settings."""
    settings = json.loads(json.dumps(settings))
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    whole = [json.loads(line) for line in lines if line.endswith("}")]  # a kill may have cut the last one
    if whole and whole[0] != settings:
        key = next(k for k in settings if whole[0].get(k) != settings[k])
        raise InputError(f"{file} was made with another {key}; move it away or choose another folder")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_name(file.name + ".partial")
        partial.write_text("".join(json.dumps(x) + "\n" for x in [settings, *whole[1:]]), encoding="utf-8")
        partial.replace(file)
    except OSError as error:
        raise InputError(f"cannot write {file} ({error}); choose another folder") from None
    return {(r["row"], r["seed"], tuple(r["pair"])): r for r in whole[1:]}
