"""Embeddings of several systems on disk, so that they are compared without any model.

A folder holds ``<setting>/<method>/query.safetensors`` and ``gallery.safetensors`` beside it.
"""

from pathlib import Path

from tpsnet.data import LABEL_SPACES
from tpsnet.types import Embeddings, InputError

Both = tuple[Embeddings, Embeddings]  # queries and gallery


def save_both(folder: Path, setting: str, method: str, both: Both) -> None:
    """Write the queries and the gallery of one method under one setting.

    Raises:
        InputError: the folder cannot be written; older files stay.
    """
    for role, part in zip(("query", "gallery"), both, strict=True):
        part.save(folder / setting / method / f"{role}.safetensors")


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
        raise InputError(f"{folder} holds no saved embeddings; run the notebooks 6 and 7 on this run folder")
    for setting, methods in found.items():
        (first, ours), *others = methods.items()
        for name, theirs in others:
            if any(a.paths != b.paths for a, b in zip(ours, theirs, strict=True)):
                raise InputError(
                    f"{folder / setting}: {first!r} and {name!r} embed different pictures; remove the older"
                )
    return found


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
