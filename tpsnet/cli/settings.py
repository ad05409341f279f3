"""NAME=VALUE on the command line to fields of settings dataclasses."""

import difflib
import types
import typing
from collections.abc import Mapping

from tpsnet.notebooks import BOOLS
from tpsnet.types import InputError

ELSEWHERE = ("run", "resume", "seed")  # the command has options of their own for these


def read_settings(given: Mapping[str, str], *configs: type) -> tuple[dict[str, object], ...]:
    """Sort values by the dataclass that has such a field, in the field's type.

    Args:
        given: text by name.
        configs: the dataclasses, whose names do not overlap; fields that are no scalar cannot be set.

    Returns:
        For each dataclass the values that are its own.

    Raises:
        InputError: an unknown name, with the nearest known one; a value of another type.
    """
    known = {
        name: (i, hint)
        for i, config in enumerate(configs)
        for name, hint in typing.get_type_hints(config).items()
        if name not in ELSEWHERE and _is_scalar(hint)
    }
    found = tuple({} for _ in configs)
    for name, text in given.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
            raise InputError(f"no setting {name!r}: did you mean {near!r}? There are {', '.join(known)}")
        at, hint = known[name]
        try:
            found[at][name] = _read(text, hint)
        except (ValueError, KeyError):
            raise InputError(f"-p {name}={text}: give {_describe(hint)}") from None
    return found


def _options(hint: object) -> tuple:
    return typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)


def _is_scalar(hint: object) -> bool:
    scalars = (bool, int, float, str, types.NoneType)
    return all(h in scalars or typing.get_origin(h) is typing.Literal for h in _options(hint))


def _read(text: str, hint: object) -> object:
    options = _options(hint)
    if types.NoneType in options and text.lower() == "none":
        return None
    kind = options[0]
    if typing.get_origin(kind) is typing.Literal:
        return {str(choice): choice for choice in typing.get_args(kind)}[text]
    return BOOLS[text.lower()] if kind is bool else kind(text)


def _describe(hint: object) -> str:
    named = {bool: "true or false", types.NoneType: "none"}
    choices = [c for h in _options(hint) for c in typing.get_args(h) or [named.get(h, h.__name__)]]
    return " or ".join(map(str, choices))
