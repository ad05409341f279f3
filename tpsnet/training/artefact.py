"""The trained artefact: one file that embeds images of either domain, also those that training never saw.

It holds what was trained, how the method was configured, and the checksum of the backbone's weights; what
training left untouched is read from the backbone's own file again. What only training needs (features,
pseudo-labels, memory banks) is left out.
"""

import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from tpsnet.backbone import Backbone, MoCo, is_address, load_backbone
from tpsnet.errors import InputError
from tpsnet.io import crc32, read_tensors, validated, write_tensors
from tpsnet.methods import METHODS, Method
from tpsnet.paths import user_path
from tpsnet.training.checkpoint import EpochRow, changed_state, check_same_run, load_state

MODEL = "model.safetensors"
FORMAT = 1
MEND = "train again, or restore the file"


@dataclass(frozen=True)
class BackboneAddress:
    """Which backbone a method was trained on; files before had no preprocessing and no activation."""

    model: str
    pretrained: str | None
    identity: str
    preprocessing: str | None = None
    quick_gelu: bool | None = None


@dataclass(frozen=True)
class ArtefactHead:
    """What the artefact holds beside its tensors."""

    format: int
    method: str
    config: dict[str, Any]
    seed: int
    domains: tuple[str, ...]
    backbone: BackboneAddress
    identity: dict[str, Any]
    rows: list[EpochRow]


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
        "backbone": asdict(
            BackboneAddress(
                given.model, given.pretrained, given.identity, given.preprocessing, given.quick_gelu
            )
        ),
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
    path = user_path(run) / MODEL
    tensors, head = _read(path)
    entry, wanted = METHODS[head.method], head.backbone
    other_version = "it belongs to another version of tpsnet"
    config = validated(entry.config, head.config, path, "config", other_version)
    # Files of before may name weights beside an address, where they were not used.
    pretrained = None if is_address(wanted.model) else wanted.pretrained
    backbone = backbone or load_backbone(wanted.model, pretrained, device)
    if backbone.identity != wanted.identity:
        raise InputError(
            f"{path} was trained on {wanted.model!r} with checksum {wanted.identity}, this one has "
            f"{backbone.identity}; give the weights it was trained on"
        )
    _check_preprocessing(path, wanted.preprocessing, backbone)
    if wanted.quick_gelu not in (None, backbone.quick_gelu):
        raise InputError(
            f"{path} was trained with{'' if wanted.quick_gelu else 'out'} QuickGELU, unlike "
            f"{backbone.model!r}; give the activation it was trained with"
        )
    method = entry.method(backbone, config, head.seed)
    load_state(method, tensors, path)
    method.domains = head.domains
    return method.eval()


def fingerprint(method: Method) -> str:
    """Identity of a trained model, in words and a checksum: two with the same one embed alike."""
    given = method.given
    facts = f"{given.identity} {given.preprocessing} {asdict(method.cfg)} {method.domains}"
    found = zlib.crc32(facts.encode("utf-8", "backslashreplace"))
    for name, tensor in sorted(changed_state(method).items()):
        if not name.startswith("targets."):
            found = crc32(tensor, zlib.crc32(name.encode(), found))
    return f"{method.name} of {' and '.join(method.domains)} ({found:08x})"


def load_finished(path: Path, method: Method, identity: dict[str, object]) -> list[dict]:
    """Put the trained weights into a prepared method; returns the log of its training.

    Raises:
        InputError: the artefact is of another run.
    """
    tensors, head = _read(path)
    check_same_run(path, head.identity, identity)
    kept = {name: t for name, t in method.state_dict().items() if name.startswith("targets.")}
    load_state(method, kept | tensors, path)
    return [asdict(row) for row in head.rows]


def _check_preprocessing(path: Path, wanted: str | None, backbone: Backbone | MoCo) -> None:
    """A file without it is of a time when every image was resized plainly."""
    if wanted is None and not backbone.resize.plain:
        raise InputError(
            f"{path} was trained on images of another resize than {backbone.resize}; train again"
        )
    if wanted not in (None, backbone.preprocessing):
        raise InputError(
            f"{path} was trained with {wanted}, {backbone.model!r} has {backbone.preprocessing}; give the "
            "preprocessing it was trained with"
        )


def _read(path: Path) -> tuple[dict[str, Tensor], ArtefactHead]:
    run = path.parent
    if not run.is_dir():
        raise InputError(f"no run folder {run}; name one that tpsnet train has written")
    if not path.exists():
        state = (
            "has not finished its training; go on with --resume"
            if any(run.glob("checkpoint.*"))
            else (f"holds no {path.name}; name the folder of a finished training")
        )
        raise InputError(f"{run} {state}")
    tensors, meta = read_tensors(path, MEND)
    if meta.get("format") != FORMAT:
        raise InputError(
            f"{path} has format {meta.get('format')!r:.80}, this tpsnet reads {FORMAT}; update tpsnet"
        )
    head: ArtefactHead = validated(ArtefactHead, meta, path, "", MEND)
    if head.method not in METHODS:
        raise InputError(f"{path} holds method {head.method!r:.80}; this tpsnet has {', '.join(METHODS)}")
    return tensors, head
