"""Pages of results in Markdown: baselines beside methods, mean ± std over seeds, protocol under numbers."""

from tpsnet.report.comparison import comparison_markdown
from tpsnet.report.differences import shortfalls
from tpsnet.report.parts import by_ranking, made_with, tidy
from tpsnet.report.results import results_markdown
from tpsnet.report.universal import universal_markdown
from tpsnet.report.zero_shot import zero_shot_markdown

__all__ = [
    "by_ranking",
    "comparison_markdown",
    "made_with",
    "results_markdown",
    "shortfalls",
    "tidy",
    "universal_markdown",
    "zero_shot_markdown",
]
