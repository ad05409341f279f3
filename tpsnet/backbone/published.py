"""Named models of open_clip: what a tag or a weights file stands for, with its activation and preprocessing.

A tag says all of it. A file says nothing by itself: open_clip then takes OpenAI's preprocessing and the
activation of the model's name, right or wrong (open_clip #1068). Ours differs: OpenAI's own files and
published ones are known by what they hold or by their name, others are prepared as the model's tags are, and
where these disagree, a warning says what is assumed.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path, PurePosixPath

import open_clip
from huggingface_hub import constants
from huggingface_hub.utils import get_session
from torch import Tensor

from tpsnet.backbone.folder import CONFIG
from tpsnet.backbone.torchscript import is_torchscript, read_torchscript
from tpsnet.backbone.transformers_clip import MARK
from tpsnet.backbone.weights import check_weights, read_state
from tpsnet.errors import InputError
from tpsnet.escape import printable
from tpsnet.paths import user_path

PREPROCESSING = ("mean", "std", "interpolation", "resize_mode")
OPENAI = {"input_resolution", "context_length", "vocab_size"}  # what only OpenAI's own files hold
QUICK = "-quickgelu"  # how open_clip names a model with QuickGELU

log = logging.getLogger("tpsnet")


@dataclass(frozen=True)
class Weights:
    """Weights of a named model, and what open_clip must be told of them.

    Attributes:
        file: The weights file.
        quick_gelu: Whether they were trained with QuickGELU.
        preprocessing: Mean, deviation, interpolation and resize mode, as far as open_clip's own do not hold.
        state: The tensors by name, where open_clip cannot read the file.
    """

    file: Path
    quick_gelu: bool
    preprocessing: dict[str, object]
    state: dict[str, Tensor] | None


def named_weights(model: str, pretrained: str | None) -> Weights:
    """What a tag (fetched if it is not there yet) or a weights file of a named model stands for.

    Raises:
        InputError: there is no such model, tag or file, it cannot be fetched, or the file is no weights file.
    """
    if model not in open_clip.list_models():
        raise InputError(
            f"unknown CLIP {model!r}{_near(model, open_clip.list_models())}; give local-dir:FOLDER, "
            "moco:FILE or one of open_clip.list_models()"
        )
    tags = ", ".join(open_clip.list_pretrained_tags_by_model(model))
    if pretrained is None:
        raise InputError(f"CLIP {model!r} needs pretrained weights: name a tag ({tags}) or a weights file")
    if tag := open_clip.get_pretrained_cfg(model, pretrained):
        file = _fetched(model, pretrained, tag)
        return Weights(file, *_of(tag), _opened(file)[1])
    file = user_path(pretrained)
    if not file.exists():
        raise InputError(
            f"CLIP {model!r} has no tag {pretrained!r}, and there is no such file"
            f"{_near(pretrained, open_clip.list_pretrained_tags_by_model(model))}; tags: {tags}"
        )
    folder = file if file.is_dir() else file.parent
    if file.is_dir() or (folder / CONFIG).exists():
        raise InputError(
            f"{file}: a folder says itself which model it holds and how images are prepared; leave out "
            f"pretrained and give the model local-dir:{folder}"
        )
    names, state = _opened(file)
    if MARK in names:
        raise InputError(
            f"{file} holds weights of the package transformers, whose folder says what they are; leave out "
            f"pretrained and give the model local-dir:{folder}"
        )
    return Weights(file, *_told(model, file, names), state)


def _near(name: str, known: Sequence[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _fetched(model: str, name: str, tag: dict) -> Path:
    """The one place where weights are downloaded."""
    try:
        _check_network(tag)
        return Path(open_clip.download_pretrained(tag))
    except Exception as error:  # of the network, the disk or the service: any kind of error
        reason = " ".join(str(error).split())[:150] or type(error).__name__
        raise InputError(
            f"cannot fetch the weights {name} of {model} ({reason}); where there is a network, "
            f"`tpsnet prepare weights {model} {name} DIR` keeps them in a folder for local-dir:DIR"
        ) from None


def _check_network(tag: dict) -> None:
    """Without one, the hub's client would try for a minute, and say so in forty lines."""
    repository = "--".join(PurePosixPath(tag.get("hf_hub", "")).parts[:2])
    if repository and not (Path(constants.HF_HUB_CACHE) / f"models--{repository}").exists():
        get_session().head(constants.ENDPOINT, timeout=10)


def _opened(file: Path) -> tuple[frozenset[str], dict[str, Tensor] | None]:
    """The names in a file, and its tensors if it is OpenAI's or else a form that open_clip would not read."""
    if is_torchscript(file):
        state = read_torchscript(file)
    else:
        names = check_weights(file)
        if not names >= OPENAI:
            return names, None
        state = read_state(file)
    weights = {name: t for name, t in state.items() if name not in OPENAI and not name.endswith("attn_mask")}
    return frozenset(state), weights


def _of(tag: dict) -> tuple[bool, dict[str, object]]:
    """Activation and preprocessing of a tag of open_clip."""
    return bool(tag.get("quick_gelu")), {key: tag[key] for key in PREPROCESSING if key in tag}


def _told(model: str, file: Path, names: frozenset[str]) -> tuple[bool, dict[str, object]]:
    """Activation and preprocessing of a file: by what it holds, by its name, or by the model's tags."""
    if names >= OPENAI:
        return True, _of(open_clip.get_pretrained_cfg(model, "openai"))[1]
    quick = bool(open_clip.get_model_config(model).get("quick_gelu"))
    for candidate in (model, model.removesuffix(QUICK)):
        for name, tag in _tags(candidate).items():
            if name != "openai" and file.name == PurePosixPath(tag.get("url", "")).name:
                if quick and not tag.get("quick_gelu"):
                    raise InputError(
                        f"{file}: {name} was trained without QuickGELU; give the model {candidate}"
                    )
                return _of(tag)
    return quick, _agreed(model, file, quick)


def _agreed(model: str, file: Path, quick: bool) -> dict[str, object]:
    """The preprocessing of a model's tags, or none if it has no tags; a warning tells of what is unlike."""
    found = {name: _of(tag) for name, tag in _tags(model).items()}
    shown = printable(f"{model} with {file}")
    if unlike := [name for name, (other, _) in found.items() if other != quick]:
        log.warning(
            "%s: taken as trained with %s, unlike %s; the model's name tells (%s is with QuickGELU)",
            shown,
            "QuickGELU" if quick else "GELU",
            ", ".join(unlike[:4]),
            model.removesuffix(QUICK) + QUICK,
        )
    kinds = [kind for _, kind in found.values()]
    if all(kind == kinds[0] for kind in kinds):
        return kinds[0] if kinds else {}
    usual = max(kinds, key=kinds.count)
    log.warning(
        "%s: images are prepared as for most tags, unlike %s; give the tag, or a folder with %s",
        shown,
        ", ".join(name for name, (_, kind) in found.items() if kind != usual),
        CONFIG,
    )
    return usual


def _tags(model: str) -> dict[str, dict]:
    names = open_clip.list_pretrained_tags_by_model(model)
    return {name: open_clip.get_pretrained_cfg(model, name) for name in names}
