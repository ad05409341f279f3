"""The parameters of a notebook, checked before anything heavy is imported: a slip is told at once."""

import ast
import difflib
import json
from collections.abc import Mapping
from pathlib import Path

from tpsnet.errors import InputError
from tpsnet.paths import user_path

SCALARS = {"int": int, "float": float, "str": str, "bool": bool}
PATH_NAMES = ("run", "root", "training", "compare", "other")  # names of parameters that are paths
ADDRESS_NAMES = ("model", "pretrained")  # those that may hold one
PREFIXES = ("local-dir:", "moco:")  # of a model's address, in front of a path
BOOLS = {"true": True, "false": False}


def check_parameters(
    source: Path, given: Mapping[str, object], base: Path | None = None
) -> dict[str, object]:
    """Check names and types against the typed parameters cell of ``source``.

    Args:
        source: The notebook.
        given: Values by name. Text, as the command line gives it, is read as the parameter's type.
        base: Where relative paths start; by default at the notebook's own folder, where it runs.

    Returns:
        The values in the types of the cell.

    Raises:
        InputError: There is no such notebook; an unknown name, with the nearest known one; a value of another
            type.
    """
    known, typed = _parameters(source), {}
    for name, value in given.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
            hint = f"did you mean {near[0]!r}? It has {', '.join(known)}" if near else "it has none"
            raise InputError(f"{source} has no parameter {name!r}: {hint}")
        kind = known[name]
        try:
            typed[name] = _convert(value, kind)
        except (ValueError, SyntaxError, KeyError, TypeError, MemoryError, RecursionError):
            raise InputError(f"{source}: parameter {name!r} must be {kind}, not {value!r}") from None
        if base and kind == "str" and name in (*PATH_NAMES, *ADDRESS_NAMES):
            typed[name] = _whole(base, typed[name], name)
    return typed


def _whole(base: Path, value: str, name: str) -> str:
    """A path from the root on; of an address the path in it, while a model's name or a tag stays as it is."""
    head = next((head for head in PREFIXES if value.startswith(head)), "") if name in ADDRESS_NAMES else ""
    path = base / user_path(value.removeprefix(head))
    word = name in ADDRESS_NAMES and not head and not path.is_file()
    return value if word or not value else f"{head}{path.absolute()}"


def _convert(value: object, kind: str) -> object:
    """``value`` as ``kind`` (a scalar's name, or ``list[scalar]``), or ``ValueError``."""
    if kind.startswith("list["):
        items = ast.literal_eval(value) if isinstance(value, str) else value
        if not isinstance(items, list | tuple):
            raise ValueError(value)
        return [_convert(item, kind[len("list[") : -1]) for item in items]
    if kind == "bool" and isinstance(value, str):
        return BOOLS[value.lower()]
    wanted = SCALARS[kind]
    # True is an int to Python, and 2.5 would be cut to 2.
    if isinstance(value, str) or type(value) is wanted or (wanted is float and type(value) is int):
        return wanted(value)
    raise ValueError(value)


def _parameters(source: Path) -> dict[str, str]:
    """The type of each name of the parameters cell: as annotated, else that of its value."""
    if source.exists() and not source.is_file():  # a pipe has no end
        raise InputError(f"{source}: not a notebook")
    try:
        cells = json.loads(source.read_text(encoding="utf-8"))["cells"]
        tagged = (c for c in cells if "parameters" in c.get("metadata", {}).get("tags", ()))
        lines = next(tagged, {"source": ""})["source"]
        tree = ast.parse(lines if isinstance(lines, str) else "".join(lines))
    except OSError as error:
        raise InputError(f"{source}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError, SyntaxError, RecursionError, MemoryError):
        raise InputError(f"{source}: not a notebook") from None
    found = {}
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found[node.target.id] = ast.unparse(node.annotation).strip("'")
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            value = node.value.value if isinstance(node.value, ast.Constant) else None
            found[node.targets[0].id] = type(value).__name__
    return found
