"""House rules as a check: notebooks argue and call, and know their neighbours.

    python -m tools.house_rules            the repository
    python -m tools.house_rules FILE …     some notebooks or Python files
    python -m tools.house_rules --write    write the line of navigation into all notebooks

One line a fault; ends with 1 when there is any. A long Python file is a warning.
"""

import ast
import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tpsnet.io import write_text

ROOT = Path(__file__).parents[1]
CODE_FOLDERS = ("tpsnet", "tools", "tests", "benchmarks")
LONG_FILE = 400
HEAD_WORDS = ("claim", "input", "output", "minute")
# What papermill can read out of the parameters cell, and the runner can check.
PARAMETER_TYPE = re.compile(r"(list\[)?(int|float|str|bool)\]?")
# All that stands behind it in the first and in the last cell of a notebook is generated.
MARK = "<!-- navigation, by python -m tools.house_rules --write -->"


def notebook_faults(path: Path) -> Iterator[str]:
    """Every way in which a committed notebook breaks the rules, one line each."""
    try:
        notebook = _read(path)
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
    yield from _head_faults(path, cells)
    code = [(i, cell) for i, cell in enumerate(cells, 1) if cell["cell_type"] == "code"]
    yield from _parameter_faults(code)
    for number, cell in code:
        for fault in _cell_faults(cell):
            yield f"cell {number}: {fault}"


def file_warnings(path: Path) -> Iterator[str]:
    """A Python file that may have outgrown its reader."""
    lines = len(path.read_text(encoding="utf-8").splitlines())
    if lines > LONG_FILE:
        yield f"{lines} lines; look whether it is two files"


def navigation(path: Path) -> str:
    """Links from a notebook to all notebooks of its folder, to the previous one and to the next, by title."""
    found = sorted(path.parent.glob("*.ipynb"))
    links = {p: f"[{_title(p)}]({p.name})" for p in found}
    line = " · ".join(f"**{_title(p)}**" if p == path else link for p, link in links.items())
    here = found.index(path)
    before = [f"← {links[p]}" for p in found[:here][-1:]]
    after = [f"{links[p]} →" for p in found[here + 1 :][:1]]
    return f"{line}\n\n{' | '.join(before + after)}".strip()


def write_navigation(folder: Path) -> None:
    """Put the line of navigation into the first and the last cell of every notebook of a folder."""
    for path in sorted(folder.glob("*.ipynb")):
        notebook = _read(path)
        for cell in (notebook["cells"][0], notebook["cells"][-1]):
            if cell["cell_type"] == "markdown":
                cell["source"] = _navigated(cell, path).splitlines(keepends=True)
        write_text(path, json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")


def _navigated(cell: dict, path: Path) -> str:
    """A cell's text with the line of navigation at its end."""
    own = _source(cell).partition(MARK)[0].rstrip()
    return f"{own}\n\n{MARK}\n\n{navigation(path)}".lstrip()


def _title(path: Path) -> str:
    """What stands before the colon in the title, e.g. "1 Prompt generation"."""
    try:
        title = _source(_read(path)["cells"][0]).splitlines()[0]
    except (ValueError, LookupError, TypeError):
        return path.stem  # no notebook, or without a title: a fault of its own
    return title.partition(":")[0].lstrip("# ").replace(" · ", " ", 1)


def _head_faults(path: Path, cells: list[dict]) -> Iterator[str]:
    if not cells or cells[0]["cell_type"] != "markdown" or cells[-1]["cell_type"] != "markdown":
        yield "the first cell must be markdown (claim, inputs, outputs, minutes), and the last (navigation)"
        return
    text = _source(cells[0]).lower()
    missing = [word for word in HEAD_WORDS if word not in text]
    if missing:
        yield f"the first cell does not state: {', '.join(missing)}"
    if any(_source(cell) != _navigated(cell, path) for cell in (cells[0], cells[-1])):
        yield "the line of navigation is stale: python -m tools.house_rules --write"


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
    if re.search(r"^\s*[!%]", _source(cell), re.MULTILINE):
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


def _read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


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
    """Check the files named, or those of the repository when none is named; or write the navigation."""
    argv = sys.argv[1:] if argv is None else argv
    if argv == ["--write"]:
        write_navigation(ROOT / "notebooks")
        return 0
    notebooks = sorted((ROOT / "notebooks").glob("*.ipynb"))
    code = sorted(path for folder in CODE_FOLDERS for path in (ROOT / folder).rglob("*.py"))
    named = [Path(name) for name in argv] or [*notebooks, *code]
    faults = [f"{p}: {fault}" for p in named if p.suffix == ".ipynb" for fault in notebook_faults(p)]
    warnings = [f"{p}: warning: {text}" for p in named if p.suffix == ".py" for text in file_warnings(p)]
    print("\n".join([*warnings, *(faults or [f"House rules: {len(named)} files kept"])]))
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
