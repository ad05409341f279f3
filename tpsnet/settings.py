"""Ranges of settings, each stated once, in the type of a field; and the check that holds a dataclass to them.

A field ``epochs: Whole = 5`` takes whole numbers from 0 on, and nothing else: no NaN, no infinity, no text.
Every range has two ends; the upper one lies far beyond what any use here wants. What depends on the images or
the backbone is checked where these are known.
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from functools import cache
from typing import Annotated, Any, get_args, get_type_hints

from annotated_types import Interval
from pydantic import Strict, TypeAdapter, ValidationError

from tpsnet.errors import InputError

MANY = 1_000_000

Whole = Annotated[int, Strict(), Interval(ge=0, le=MANY)]
Positive = Annotated[int, Strict(), Interval(ge=1, le=MANY)]
Processes = Annotated[int, Strict(), Interval(ge=1, le=1024)]
Clusters = Annotated[int, Strict(), Interval(ge=1, le=100_000)]  # each takes memory before images are counted
Seed = Annotated[int, Strict(), Interval(ge=0, le=2**63 - 1)]
Share = Annotated[float, Strict(), Interval(ge=0, le=1)]
ShareBelowOne = Annotated[float, Strict(), Interval(ge=0, lt=1)]
PositiveShare = Annotated[float, Strict(), Interval(ge=1e-4, le=1)]
Ratio = Annotated[float, Strict(), Interval(ge=0.01, le=100)]
LearningRate = Annotated[float, Strict(), Interval(ge=0, le=10)]
Weight = Annotated[float, Strict(), Interval(ge=0, le=MANY)]
PositiveWeight = Annotated[float, Strict(), Interval(gt=0, le=MANY)]
Temperature = Annotated[float, Strict(), Interval(ge=1e-4, le=1000)]  # float32 overflows at far lower ones


class Settings:
    """Base of the frozen dataclasses that hold settings: each value is held to the type of its field.

    Raises:
        InputError: a value is of another type or outside its range; one line names field, value and range.
    """

    def __post_init__(self) -> None:
        for name, kind in _kinds(type(self)).items():
            check(name, kind, getattr(self, name))


def check(name: str, kind: Any, value: object) -> None:
    """Hold a single value to a type, such as those above.

    Args:
        name: What the message calls it.
        kind: The type.
        value: The value.

    Raises:
        InputError: the value is of another type or outside its range.
    """
    try:
        _adapter(kind).validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        in_words = first["type"].startswith(("int_", "float_", "greater_", "less_"))
        asked = next(_ranges(kind)) if in_words else first["msg"][:1].lower() + first["msg"][1:]
        raise InputError(f"{name} = {first['input']!r}: {asked}") from None


@cache
def _kinds(settings: type) -> Mapping[str, Any]:
    """The type of each field."""
    hints = get_type_hints(settings, include_extras=True)
    return {field.name: hints[field.name] for field in fields(settings)}


@cache
def _adapter(kind: Any) -> TypeAdapter:
    return TypeAdapter(kind)


def _ranges(kind: Any) -> Iterator[str]:
    """The ranges within a type, in words."""
    for note in getattr(kind, "__metadata__", ()):
        if isinstance(note, Interval):
            whole = "whole " if kind.__origin__ is int else ""
            low = f"above {_text(note.gt)}" if note.ge is None else f"from {_text(note.ge)}"
            high = f"below {_text(note.lt)}" if note.le is None else _text(note.le)
            yield f"give a {whole}number {low} to {high}"
    for inner in get_args(kind):
        yield from _ranges(inner)


def _text(bound: int | float) -> str:
    return f"{bound:,}" if isinstance(bound, int) else f"{bound:,.15g}"
