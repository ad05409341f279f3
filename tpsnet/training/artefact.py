"""The trained artefact: one file that embeds images of either domain, also those that training never saw.

It holds what was trained, how the method was configured, and the checksum of the backbone's weights; what
training left untouched is read from the backbone's own file again. What only training needs (features,
pseudo-labels, memory banks) is left out.
"""

from dataclasses import asdict
from pathlib import Path

from tpsnet.backbone import Backbone, MoCo, load_backbone
from tpsnet.errors import InputError
from tpsnet.io import read_tensors, validated, write_tensors
from tpsnet.methods import METHODS, Method
from tpsnet.training.checkpoint import changed_state, check_same_run, load_state

MODEL = "model.safetensors"
FORMAT = 1


def save_trained(path: Path, method: Method, rows: list[dict], identity: dict[str, object]) -> None:
    """Write the artefact.

    Args:
        path: The file.
        method: What was trained.
        rows: The log of the training.
        identity: What it was trained with; a run that is resumed must share it.
    """
    given = method.given
    meta = {
        "format": FORMAT,
        "method": method.name,
        "config": asdict(method.cfg),
        "seed": method.seed,
        "domains": method.domains,
        "backbone": {"model": given.model, "pretrained": given.pretrained, "identity": given.identity},
        "identity": identity,
        "rows": rows,
    }
    tensors = {name: t for name, t in changed_state(method).items() if not name.startswith("targets.")}
    write_tensors(path, tensors, meta)


def load_trained(run: str | Path, device: str = "cpu", backbone: Backbone | MoCo | None = None) -> Method:
    """Bring a trained method back, ready to embed.

    Args:
        run: The run folder of a training.
        device: Where to compute.
        backbone: The backbone, if it is loaded already; by default the artefact's address tells which.

    Raises:
        InputError: no such folder, a training that has not finished, a damaged artefact or one of a newer
            version, or a backbone with other weights.
    """
    path = Path(run) / MODEL
    tensors, meta = _read(path)
    entry, wanted = METHODS[meta["method"]], meta["backbone"]
    other_version = "it belongs to another version of tpsnet"
    config = validated(entry.config, meta["config"], path, "config", other_version)
    backbone = backbone or load_backbone(wanted["model"], wanted["pretrained"], device)
    if backbone.identity != wanted["identity"]:
        raise InputError(
            f"{path} was trained on {wanted['model']!r} with checksum {wanted['identity']}, this one has "
            f"{backbone.identity}; give the weights it was trained on"
        )
    method = entry.method(backbone, config, meta["seed"])
    load_state(method, tensors, path)
    method.domains = tuple(meta["domains"])
    return method.eval()


def load_finished(path: Path, method: Method, identity: dict[str, object]) -> list[dict]:
    """Put the trained weights into a prepared method; returns the log of its training.

    Raises:
        InputError: the artefact is of another run.
    """
    tensors, meta = _read(path)
    check_same_run(path, meta, identity)
    kept = {name: t for name, t in method.state_dict().items() if name.startswith("targets.")}
    load_state(method, kept | tensors, path)
    return meta["rows"]


def _read(path: Path) -> tuple[dict, dict]:
    run = path.parent
    if not run.is_dir():
        raise InputError(f"no run folder {run}; name one that tpsnet train has written")
    if not path.is_file():
        state = (
            "has not finished its training; go on with --resume"
            if any(run.glob("checkpoint.*"))
            else (f"holds no {path.name}; name the folder of a finished training")
        )
        raise InputError(f"{run} {state}")
    tensors, meta = read_tensors(path, "train again, or restore the file")
    if meta.get("format") != FORMAT:
        raise InputError(
            f"{path} has format {meta.get('format')!r}, this tpsnet reads {FORMAT}; update tpsnet"
        )
    if meta["method"] not in METHODS:
        raise InputError(f"{path} holds method {meta['method']!r}; this tpsnet has {', '.join(METHODS)}")
    return tensors, meta
