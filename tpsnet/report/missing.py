"""What a page says of rows that are not in it."""

from collections.abc import Sequence

from tpsnet.errors import Failure
from tpsnet.escape import escape_markdown


def with_missing(page: str, failures: Sequence[Failure]) -> str:
    """A page that says under its title which rows are missing and why; the same page if none is.

    Args:
        page: Markdown that begins with a title.
        failures: The rows that failed.
    """
    if not failures:
        return page
    title, rest = page.split("\n", 1)
    rows = "1 row is" if len(failures) == 1 else f"{len(failures)} rows are"
    note = [
        f"**Not complete: {rows} missing.** Means are over the rows that are there, and so not over the same "
        "pairs and seeds for every method.",
        *(f"- {escape_markdown(failure.title)}: {escape_markdown(failure.reason)}" for failure in failures),
    ]
    return "\n".join([title, "", note[0], "", *note[1:], rest])
