"""Embeddings of several systems on disk, so that they are compared without any model.

A folder holds ``<setting>/<method>/query.safetensors`` and ``gallery.safetensors`` beside it.
"""

from pathlib import Path

from tpsnet.data import LABEL_SPACES
from tpsnet.evaluation.metrics import Scores, evaluate
from tpsnet.evaluation.zero_shot import SETTING, SPLIT
from tpsnet.types import Embeddings, InputError

Both = tuple[Embeddings, Embeddings]  # queries and gallery


def save_both(folder: Path, setting: str, method: str, both: Both) -> None:
    """Write the queries and the gallery of one method under one setting.

    Raises:
        InputError: the folder cannot be written. Half a pair is never taken for a whole one.
    """
    query, gallery = (folder / setting / method / f"{role}.safetensors" for role in ("query", "gallery"))
    try:
        gallery.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"cannot replace {gallery} ({error}); choose another folder") from None
    both[0].save(query)
    both[1].save(gallery)


def load_saved(folder: Path) -> dict[str, dict[str, Both]]:
    """All that ``save_both`` has left in a folder: setting to method to queries and gallery.

    Settings are in the order of ``data.LABEL_SPACES``, others behind; methods by name, frozen CLIPs in front.

    Raises:
        InputError: nothing is there; half of a pair is missing; methods of one setting embed other pictures.
    """
    found: dict[str, dict[str, Both]] = {}
    for query in sorted(folder.glob("*/*/query.safetensors"), key=_place):
        both = Embeddings.load(query), Embeddings.load(query.with_name("gallery.safetensors"))
        found.setdefault(query.parents[1].name, {})[query.parent.name] = both
    if not found:
        raise InputError(
            f"{folder} holds no SETTING/METHOD/query.safetensors; name compare/ of a run folder that the "
            "notebooks 6 and 7 have filled, or one folder in embeddings/ of a table"
        )
    for setting, methods in found.items():
        (first, ours), *others = methods.items()
        for name, theirs in others:
            if any(a.paths != b.paths for a, b in zip(ours, theirs, strict=True)):
                raise InputError(
                    f"{folder / setting}: {first!r} and {name!r} embed different pictures; remove the older"
                )
    return found


def is_saved(folder: Path, setting: str, method: str) -> bool:
    """Whether ``save_both`` has written this one."""
    return (folder / setting / method / "gallery.safetensors").is_file()


def score_saved(saved: dict[str, dict[str, Both]]) -> dict[str, dict[str, Scores]]:
    """Scores of all methods by the same rules in every setting, so that mAP is nowhere interpolated.

    Depths of P@k that a gallery is too small for are left out.
    """
    scores: dict[str, dict[str, Scores]] = {}
    for setting, methods in saved.items():
        smallest = min(len(gallery) for _, gallery in methods.values())
        rules = {"ks": tuple(k for k in (1, 5, 15) if k <= smallest), "label_spaces": setting}
        if setting == SETTING:
            rules["split"] = SPLIT
        scores[setting] = {name: evaluate(*both, **rules) for name, both in methods.items()}
    return scores


def method_of(saved: dict[str, dict[str, Both]], setting: str, method: str) -> Both:
    """Queries and gallery of one method.

    Raises:
        InputError: no such setting or method.
    """
    if setting not in saved:
        raise InputError(f"no setting {setting!r} among the saved embeddings; choose from {', '.join(saved)}")
    if method not in saved[setting]:
        there = ", ".join(saved[setting])
        raise InputError(f"no method {method!r} saved under {setting!r}; choose from {there}")
    return saved[setting][method]


def _place(query: Path) -> tuple[int, str, bool, str]:
    setting, method = query.parts[-3:-1]
    order = LABEL_SPACES.index(setting) if setting in LABEL_SPACES else len(LABEL_SPACES)
    return order, setting, not method.startswith("frozen"), method
