"""Names that would act where they are shown, in a real browser: they are read as text, and nothing runs."""

from pathlib import Path

import nbformat
import pytest
import torch
from hostile import COLOURS, MARKUP
from nbconvert import HTMLExporter
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image
from playwright.sync_api import expect

from tpsnet.cli.notebooks import run_notebook
from tpsnet.escape import printable
from tpsnet.evaluation.saved import save_both
from tpsnet.types import Embeddings
from tpsnet.viz.document import document, grid, plot, section
from tpsnet.viz.figures import class_changes
from tpsnet.viz.thumbnails import Tile

LINK = "<a href='https://x.example'>link</a> $a$ and $b$"
# As notebooks 5 and 8 use the cards, the comparison, the browser and the sheets.
CELLS = (
    'folder: str = ""',
    "from pathlib import Path\nfrom IPython.display import Markdown\n"
    "from tpsnet.evaluation import load_saved, protocol_card, score_saved\n"
    "from tpsnet.report import comparison_markdown\nfrom tpsnet.viz import browser, figures\n"
    "from tpsnet.viz.failures import hub_sheet",
    "saved = load_saved(Path(folder))\n((protocol, methods),) = saved.items()\n"
    "((method, both),) = methods.items()\nprint(both[0].domain, method, both[0].class_names)",
    "scores = score_saved(saved)\nMarkdown(comparison_markdown(scores))",
    "Markdown(protocol_card(scores[protocol][method], label_spaces=protocol).markdown())",
    "figures.comparison_bars(scores)",
    "browser.RetrievalBrowser(methods, k=2)",
    "hub_sheet(methods, k=2)",
)


@pytest.fixture(scope="module")
def part(tmp_path_factory):
    """``part(domain)``: four images of two classes; class, folder and file names act where they can."""
    folder = tmp_path_factory.mktemp("images")

    def make(domain: str) -> Embeddings:
        paths = tuple(folder / f"{len(domain)}{i}{COLOURS}.png" for i in range(4))
        for i, path in enumerate(paths):
            Image.new("RGB", (40, 40), (40 * i, 100, 0)).save(path)
        rows = torch.eye(2)[torch.arange(4) % 2]
        return Embeddings(domain, rows, torch.arange(4) % 2, (MARKUP, COLOURS), paths)

    return make


@pytest.fixture
def opened(page, tmp_path):
    """``opened(html)``: a page opened from the disk, with every request refused."""

    def show(html: str):
        (tmp_path / "page.html").write_text(html, encoding="utf-8")
        own = (tmp_path / "page.html").as_uri()
        page.route("**/*", lambda route: route.continue_() if route.request.url == own else route.abort())
        page.goto(own, wait_until="domcontentloaded")
        return page

    yield show
    page.unroute("**/*")


def nothing_ran(page) -> bool:
    return page.title() != "1" and page.locator("img[src=x], [onerror], [href*='x.example']").count() == 0


def test_an_exported_notebook_shows_hostile_names_and_runs_nothing(part, opened, tmp_path):
    method = f"{MARKUP} a|b `c` _d_"
    both = part(f"{MARKUP} $x$ and $y$"), part(f"*{COLOURS}*")
    save_both(tmp_path / "saved", "closed", method, both)
    kernel = {"name": "python3", "language": "python", "display_name": "Python 3"}
    first, *others = map(new_code_cell, CELLS)
    first.metadata.tags = ["parameters"]
    nbformat.write(
        new_notebook(cells=[first, *others], metadata={"kernelspec": kernel}), tmp_path / "source.ipynb"
    )
    run_notebook(tmp_path / "source.ipynb", tmp_path / "out.ipynb", {"folder": str(tmp_path / "saved")})
    html, _ = HTMLExporter().from_filename(str(tmp_path / "out.ipynb"))
    page = opened(html)
    read = page.locator(".jp-RenderedMarkdown")
    expect(read.first.locator("td").first).to_have_text(method)
    expect(read.first.locator("tbody tr")).to_have_count(1)
    names = [printable(part.domain) for part in both]
    expect(read.last.locator("li").first.locator("strong")).to_have_text(" → ".join(names))
    expect(page.locator(".jp-RenderedText").first).to_contain_text(f"{MARKUP} $x$ and $y$ {method}")
    expect(page.locator(".jp-OutputArea-output img")).to_have_count(3)
    assert nothing_ran(page)


def test_a_report_and_its_live_figures_show_hostile_names_and_run_nothing(part, opened):
    own = part(MARKUP)
    values, names = torch.rand(2), (LINK, COLOURS)
    figure = class_changes(values, values.flip(0), torch.arange(2), names, names=(MARKUP, LINK))
    tiles = [Tile(Path(own.paths[0]), MARKUP), Tile(Path(own.paths[1]), COLOURS, True)]
    page = opened(document(MARKUP, [section(LINK, plot(figure), grid({COLOURS: tiles}))]))
    expect(page.locator("h1")).to_have_text(MARKUP)
    expect(page.locator("h2")).to_have_text(LINK)
    shown = page.locator(".ytick text").evaluate_all("all => all.map((text) => text.textContent)")
    assert set(shown) == set(map(printable, names))
    legend = page.locator(".legendtext").evaluate_all("all => all.map((text) => text.textContent)")
    assert legend == [MARKUP, LINK] and page.locator("svg a").count() == 0
    page.locator(".points path").first.hover(force=True)
    expect(page.locator(".hovertext")).to_contain_text(LINK)  # of the trace and of the class
    expect(page.locator("figcaption").last).to_have_text(f"✓ {printable(COLOURS)}")
    assert nothing_ran(page)
