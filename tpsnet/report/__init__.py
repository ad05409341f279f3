"""Pages of results in Markdown: baselines beside methods, mean ± std over seeds, protocol under numbers."""

from tpsnet.report.comparison import comparison_markdown
from tpsnet.report.differences import shortfalls, strongest
from tpsnet.report.missing import with_missing
from tpsnet.report.parts import AS_EMBEDDED, by_ranking, made_with, protocol, tidy
from tpsnet.report.published import published
from tpsnet.report.reproduction import reproduction, reproduction_latex, reproduction_markdown
from tpsnet.report.results import results_markdown
from tpsnet.report.rows import check_row, read_scores
from tpsnet.report.universal import universal_markdown
from tpsnet.report.zero_shot import zero_shot_markdown

__all__ = [
    "AS_EMBEDDED",
    "by_ranking",
    "check_row",
    "comparison_markdown",
    "made_with",
    "protocol",
    "published",
    "read_scores",
    "reproduction",
    "reproduction_latex",
    "reproduction_markdown",
    "results_markdown",
    "shortfalls",
    "strongest",
    "tidy",
    "universal_markdown",
    "with_missing",
    "zero_shot_markdown",
]
