"""Pages of results in Markdown: floors beside methods, mean ± std over seeds, protocol under numbers."""

from tpsnet.report.parts import made_with, write_page
from tpsnet.report.results import mean_of_directions, results_markdown
from tpsnet.report.universal import universal_markdown

__all__ = ["made_with", "mean_of_directions", "results_markdown", "universal_markdown", "write_page"]
