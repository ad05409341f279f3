"""A results table: every method on every pair and seed, one JSON line each, resumable."""

import contextlib
import dataclasses
import io
import itertools
import json
import warnings
from dataclasses import dataclass
from pathlib import Path

from joblib import Parallel, delayed

from tpsnet.backbone import load_backbone
from tpsnet.data import image_folder, zero_shot_split
from tpsnet.engine import FitConfig
from tpsnet.evaluation import is_saved
from tpsnet.evaluation.zero_shot import SETTING
from tpsnet.experiment import run_row
from tpsnet.files import replacing
from tpsnet.methods import CLAIRConfig, TPSNetConfig, UEMConfig
from tpsnet.pair import load_pair
from tpsnet.progress import Progress
from tpsnet.recipes import FLOORS, TRAINED
from tpsnet.types import InputError
from tpsnet.zero_shot import ZeroShotPair, run_zero_shot

Job = tuple[str, int, tuple[str, str], str | None]  # row, seed, pair, setting


@dataclass(frozen=True)
class TableConfig:
    """Which rows to fill.

    Attributes:
        folder: where ``rows.jsonl`` grows; a second call fills in what is missing.
        root: folder of domains.
        pairs: pairs of domain names; both directions are scored, or the first asks under a setting.
        seeds: of the trained rows; under a setting of all rows, since they draw the label spaces.
        model: address or name of the CLIP.
        pretrained: tag of a named CLIP.
        device: where to compute.
        names: the rows, keys of ``FLOORS`` and ``RECIPES``.
        settings: label spaces of ``data.restrict``, or ``"zero-shot"``; ``None`` takes the pairs as they are.
        unseen: names of the unseen classes of ``"zero-shot"``; by default a quarter, drawn by the seed.
        workers: processes that share the processor's threads and fill rows at the same time.
        keep: also keep the embeddings, in ``embeddings/<first>-<second>-seed<seed>``, see
            ``evaluation.saved``; rows whose embeddings are not there are run again. A floor that no seed
            changes stands under seed 0.
    """

    folder: Path
    root: Path
    pairs: tuple[tuple[str, str], ...]
    seeds: tuple[int, ...]
    model: str
    pretrained: str | None = None
    device: str = "cpu"
    names: tuple[str, ...] = (*FLOORS, *TRAINED)
    settings: tuple[str | None, ...] = (None,)
    unseen: tuple[str, ...] | None = None
    workers: int = 1
    keep: bool = False


def all_pairs(root: Path) -> tuple[tuple[str, str], ...]:
    """Every unordered pair of the folder's domains."""
    return _several(tuple(itertools.combinations(image_folder(root), 2)), root)


def chain(root: Path) -> tuple[tuple[str, str], ...]:
    """Each domain of the folder asks the next, as UEM's DomainNet pairs do."""
    return _several(tuple(itertools.pairwise(image_folder(root))), root)


def _several(pairs: tuple[tuple[str, str], ...], root: Path) -> tuple[tuple[str, str], ...]:
    if not pairs:
        raise InputError(f"{root} has a single domain, so no pair for a table; add a second domain folder")
    return pairs


def fill_table(cfg: TableConfig) -> list[dict]:
    """Run every missing row; give back all rows that ``cfg`` asks for.

    A killed call loses the rows it was at; the next call goes on from there.

    Raises:
        InputError: ``rows.jsonl`` was made with other weights, from another folder, on another kind of device
            or with other settings.
    """
    jobs: list[Job] = [
        (name, seed, pair, setting)
        for setting in cfg.settings
        for pair in cfg.pairs
        for name in cfg.names
        for seed in ((0,) if name in FLOORS and not _drawn(cfg, setting) else cfg.seeds)
    ]
    file = cfg.folder / "rows.jsonl"
    backbone = load_backbone(cfg.model, cfg.pretrained, cfg.device)
    rows = _open_rows(file, _settings(cfg, backbone.identity))
    missing = [job for job in jobs if job not in rows or not _kept(cfg, job)]
    for pair in {job[2]: None for job in missing}:
        load_pair(cfg.root, pair, backbone.image_size)  # decoded, and complained about, before any training
    with Progress(len(jobs), "table") as progress, warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "A worker stopped", UserWarning
        )  # joblib renews those that have grown
        progress.skip(len(jobs) - len(missing))
        # Nothing is queued ahead: when this process is killed, a worker ends with the row that it is at.
        parallel = Parallel(cfg.workers, return_as="generator_unordered", pre_dispatch=cfg.workers)
        for row in parallel(delayed(_run_job)(cfg, *job) for job in missing):
            rows[_job(row)] = row
            with file.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(row) + "\n")
            name, seed, names, setting = _job(row)
            where = " ↔ ".join(names) if setting is None else f"{' → '.join(names)}, {setting}"
            progress.step(f"{where}: {name}, seed {seed}")
    return [rows[job] for job in jobs]


def _run_job(cfg: TableConfig, name: str, seed: int, names: tuple[str, str], setting: str | None) -> dict:
    """One row; of several at the same time none writes to the terminal."""
    with contextlib.ExitStack() as quiet:
        if cfg.workers > 1:
            quiet.enter_context(contextlib.redirect_stdout(io.StringIO()))
            quiet.enter_context(contextlib.redirect_stderr(io.StringIO()))
        backbone = load_backbone(cfg.model, cfg.pretrained, cfg.device)
        pair = load_pair(cfg.root, names, backbone.image_size)
        kept = _place(cfg, names, seed) if cfg.keep else None
        if setting != SETTING:
            return run_row(name, backbone, pair, seed, setting, kept=kept)
        split = zero_shot_split(*pair.domains, cfg.unseen, seed=seed)
        return run_zero_shot(name, backbone, ZeroShotPair.divide(pair, split), seed, kept=kept)


def _place(cfg: TableConfig, names: tuple[str, str], seed: int) -> Path:
    return cfg.folder / "embeddings" / f"{'-'.join(names)}-seed{seed}"


def _kept(cfg: TableConfig, job: Job) -> bool:
    """Whether the embeddings of a row are there, if they are to be."""
    name, seed, names, setting = job
    return not cfg.keep or is_saved(_place(cfg, names, seed), setting or "closed", name)


def _drawn(cfg: TableConfig, setting: str | None) -> bool:
    """Whether the seed draws classes, so that it matters to a floor too."""
    return setting is not None and (setting != SETTING or cfg.unseen is None)


def _job(row: dict) -> Job:
    return row["row"], row["seed"], tuple(row["pair"]), row["setting"]


def _settings(cfg: TableConfig, weights: str) -> dict:
    """What all rows of a file share."""
    methods = (TPSNetConfig(clusters=0), UEMConfig(), CLAIRConfig(names=()))
    return {
        "root": str(cfg.root.resolve()),
        "backbone": weights,
        "device": cfg.device.partition(":")[0],
        "unseen": cfg.unseen,
        "methods": list(map(dataclasses.asdict, methods)),
        "fit": dataclasses.asdict(FitConfig()),
    }


def _whole(line: str) -> dict | None:
    """A line of the file; ``None`` for one that a kill has cut."""
    try:
        return json.loads(line)
    except json.JSONDecodeError:
        return None


def _open_rows(file: Path, settings: dict) -> dict[Job, dict]:
    """Rows of an earlier call by their job; the first line of the file holds the settings."""
    settings = json.loads(json.dumps(settings))
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    whole = [row for line in lines if (row := _whole(line)) is not None]
    if whole and whole[0] != settings:
        key = next(k for k in settings if whole[0].get(k) != settings[k])
        raise InputError(f"{file} was made with another {key}; move it away or choose another folder")
    with replacing(file) as partial:
        partial.write_text("".join(json.dumps(x) + "\n" for x in [settings, *whole[1:]]), encoding="utf-8")
    return {_job(row): row for row in whole[1:]}
