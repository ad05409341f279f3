"""House rules as a check: notebooks argue and call, files stay small.

    python -m tools.house_rules            the repository
    python -m tools.house_rules FILE …     some notebooks or Python files

One line a fault; ends with 1 when there is any.
"""

import ast
import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

MAX_FILE_LINES = 250
MAX_CODE_CELLS = 12
MAX_CELL_LINES = 12
CODE_FOLDERS = ("tpsnet", "tools", "tests", "benchmarks")
HEAD_WORDS = ("claim", "input", "output", "minute")
# What papermill can read out of the parameters cell, and the runner can check.
PARAMETER_TYPE = re.compile(r"(list\[)?(int|float|str|bool)\]?")


def notebook_faults(path: Path) -> Iterator[str]:
    """Every way in which a committed notebook breaks design.md §2, one line each."""
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        cells, metadata = notebook["cells"], notebook["metadata"]
    except (ValueError, KeyError, TypeError):
        yield "not a notebook (format 4)"
        return
    if not re.fullmatch(r"\d\d_[a-z0-9_]+\.ipynb", path.name):
        yield "name it NN_words.ipynb, so that the listing is the order of reading"
    if metadata.get("kernelspec", {}).get("name") != "python3":
        yield "metadata.kernelspec.name must be python3"
    if "widgets" in metadata:
        yield "metadata.widgets: clear the widget state"
    yield from _head_faults(cells)
    code = [(i, cell) for i, cell in enumerate(cells, 1) if cell["cell_type"] == "code"]
    yield from _parameter_faults(code)
    if len(code) > MAX_CODE_CELLS:
        yield f"{len(code)} code cells; at most {MAX_CODE_CELLS}"
    for number, cell in code:
        for fault in _cell_faults(cell):
            yield f"cell {number}: {fault}"


def file_faults(path: Path) -> Iterator[str]:
    """A Python file that has outgrown its room."""
    lines = len(path.read_text(encoding="utf-8").splitlines())
    if lines > MAX_FILE_LINES:
        yield f"{lines} lines; split it above {MAX_FILE_LINES}"


def _head_faults(cells: list[dict]) -> Iterator[str]:
    if not cells or cells[0]["cell_type"] != "markdown":
        yield "the first cell must be markdown: claim, inputs, outputs, minutes"
        return
    text = _source(cells[0]).lower()
    missing = [word for word in HEAD_WORDS if word not in text]
    if missing:
        yield f"the first cell does not state: {', '.join(missing)}"


def _parameter_faults(code: list[tuple[int, dict]]) -> Iterator[str]:
    tagged = [number for number, cell in code if "parameters" in cell["metadata"].get("tags", [])]
    if not code or tagged != [code[0][0]]:
        yield "the first code cell, and no other, must be tagged `parameters`"
        return
    for line in _source(code[0][1]).splitlines():
        if line.count("=") > 1:
            yield f"parameters: `{line}`: papermill passes over a line with two ="
    for node in _parse(code[0][1]).body:
        line = ast.unparse(node)
        if not isinstance(node, ast.AnnAssign) or node.value is None or node.lineno != node.end_lineno:
            yield f"parameters: `{line}` is not a typed assignment on one line"
        elif not PARAMETER_TYPE.fullmatch(ast.unparse(node.annotation)):
            yield f"parameters: `{line}`: use int, float, str, bool or a list of one of them"
        elif not _is_literal(node.value):
            yield f"parameters: `{line}`: the default must be a plain value"


def _cell_faults(cell: dict) -> Iterator[str]:
    if cell["outputs"]:
        yield "has outputs (nbstripout clears them)"
    if cell["execution_count"] is not None:
        yield "has an execution count"
    source = _source(cell)
    lines = len(source.splitlines())
    if lines > MAX_CELL_LINES:
        yield f"{lines} lines; at most {MAX_CELL_LINES}"
    if re.search(r"^\s*[!%]", source, re.MULTILINE):
        yield "a shell or magic line: installing belongs to make, the rest to the package"
        return
    try:
        tree = _parse(cell)
    except SyntaxError as error:
        yield f"does not parse: {error.msg}"
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield f"defines `{node.name}`: move it into the package"
        elif isinstance(node, ast.Attribute) and ast.unparse(node) == "sys.path":
            yield "touches sys.path: the package is installed"


def _parse(cell: dict) -> ast.Module:
    return ast.parse(_source(cell))


def _source(cell: dict) -> str:
    source = cell["source"]
    return source if isinstance(source, str) else "".join(source)


def _is_literal(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except ValueError:
        return False
    return True


def main(argv: Sequence[str] | None = None) -> int:
    """Check the files named, or those of the repository when none is named."""
    named = [Path(name) for name in (sys.argv[1:] if argv is None else argv)]
    if not named:
        root = Path(__file__).parents[1]
        named = sorted(root.glob("notebooks/*.ipynb"))
        named += sorted(path for folder in CODE_FOLDERS for path in (root / folder).rglob("*.py"))
    faults = [
        f"{path}: {fault}"
        for path in named
        for fault in (notebook_faults if path.suffix == ".ipynb" else file_faults)(path)
    ]
    print("\n".join(faults) if faults else f"House rules: {len(named)} files kept")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
