"""Executed notebooks as a reader meets them: reopened in JupyterLab untrusted, and run again by hand."""

import re
from pathlib import Path

import nbformat
import pytest
import torch
from browser.pixels import widths
from nbconvert import HTMLExporter
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image
from playwright.sync_api import Page, expect

from tpsnet.cli.notebooks import run_notebook
from tpsnet.types import Embeddings

IMAGES = ".jp-OutputArea-output img, .jp-OutputArea-output .main-svg"
CELLS = [
    "k: int = 4",
    "from pathlib import Path\nfrom tpsnet.types import Embeddings\n"
    "from tpsnet.viz.figures.figure import Figure\n"
    "from tpsnet.viz.browser import RetrievalBrowser",
    "Figure().add_scatter(y=[1, 3, 2])",
    "pair = tuple(Embeddings.load(Path('{}') / name) for name in ('line', 'flat'))\n"
    "RetrievalBrowser({{'model': pair}}, k=k)",
]


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """A small executed notebook with a figure and a browser over two domains of six one-colour images."""
    folder = tmp_path_factory.mktemp("small")
    classes = ("apple", "boat", "cat")
    for name in ("line", "flat"):
        labels = torch.arange(6) % 3
        paths = tuple(folder / f"{name}{i}.webp" for i in range(6))
        for i, path in enumerate(paths):
            Image.new("RGB", (40, 40), (40 * i, 100, 255 * (name == "line"))).save(path)
        Embeddings(name, torch.eye(4)[labels], labels, classes, paths).save(folder / name)
    kernel = {"name": "python3", "language": "python", "display_name": "Python 3"}
    cells = [new_code_cell(source.format(folder)) for source in CELLS]
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), folder / "source.ipynb")
    run_notebook(folder / "source.ipynb", folder / "small.ipynb")
    return folder / "small.ipynb"


@pytest.fixture(scope="module")
def browser_notebook(executed_notebooks: dict[str, Path]) -> Path:
    (path,) = (path for name, path in executed_notebooks.items() if name.startswith("05"))
    return path


NOTEBOOKS = ["small", "browser_notebook"]


@pytest.mark.parametrize("which", NOTEBOOKS)
def test_reopened_untrusted_it_shows_its_images(reopen, request, which):
    path = request.getfixturevalue(which)
    page = reopen(path)
    drawn = [
        c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code" and shows_something(c)
    ]
    assert drawn
    for cell in range(page.locator(".jp-Cell").count()):  # Lab draws a cell's output when it is in view
        page.locator(".jp-Cell").nth(cell).scroll_into_view_if_needed()
    outputs = page.locator(".jp-CodeCell").filter(has=page.locator(IMAGES))
    expect(outputs).to_have_count(len(drawn))
    for i in range(len(drawn)):
        image = outputs.nth(i).locator(IMAGES).first
        image.scroll_into_view_if_needed()
        expect(image).to_be_visible()
        box = image.bounding_box()
        assert box["width"] > 100 and box["height"] > 50
    expect(page.get_by_text(re.compile("Error displaying widget|Error creating widget"))).to_have_count(0)
    expect(page.get_by_text("could not be loaded")).to_have_count(0)


@pytest.mark.parametrize("which", NOTEBOOKS)
def test_no_figure_offers_to_send_itself_away(reopen, request, which):
    page = reopen(request.getfixturevalue(which))
    figure = page.locator(".jp-RenderedPlotly").first
    figure.scroll_into_view_if_needed()
    figure.hover()  # its still image becomes the figure
    figure.locator(".modebar-btn").first.wait_for()
    titles = figure.locator(".modebar-btn").evaluate_all("all => all.map(b => b.dataset.title)")
    assert titles and not [title for title in titles if re.search("share|cloud|edit", title, re.I)]


@pytest.mark.parametrize("which", NOTEBOOKS)
def test_an_html_export_shows_all_images_without_a_network(page, request, which, tmp_path):
    path = request.getfixturevalue(which)
    html, _ = HTMLExporter().from_filename(str(path))
    (tmp_path / "export.html").write_text(html, encoding="utf-8")
    page.route(
        "**/*", lambda route: route.continue_() if route.request.url.startswith("file:") else route.abort()
    )
    try:
        page.goto((tmp_path / "export.html").as_uri(), wait_until="domcontentloaded")
        drawn = [
            c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code" and shows_something(c)
        ]
        shown = page.locator(".jp-CodeCell").filter(has=page.locator("img"))
        expect(shown).to_have_count(len(drawn))
        images = shown.locator("img")
        assert min(widths(images)) > 100
    finally:
        page.unroute("**/*")


@pytest.mark.parametrize("which", NOTEBOOKS)
def test_live_a_click_on_a_tile_changes_the_ranking(reopen, request, which):
    page = reopen(request.getfixturevalue(which))
    run_all(page)
    browser = page.locator(".tps-browser").first
    browser.scroll_into_view_if_needed()
    browser.locator(".tps-results .tps-tile").first.wait_for(timeout=180_000)
    tiles = browser.locator(".tps-query")
    before, path = ranking(browser), browser.locator(".tps-title .tps-path").inner_text()
    tiles.last.locator(".tps-face").click()
    expect(browser.locator(".tps-title .tps-path")).not_to_have_text(path)
    expect(tiles.last.locator(".tps-face")).to_have_attribute("aria-pressed", "true")
    assert ranking(browser) != before
    # The images are there, not only their frames.
    assert min(widths(browser.locator("img"))) > 0


def shows_something(cell) -> bool:
    """Whether an image belongs here: a widget that brings none for the untrusted reader is counted too."""
    kinds = {"image/png", "application/vnd.plotly.v1+json", "application/vnd.jupyter.widget-view+json"}
    return any(output.get("data", {}).keys() & kinds for output in cell.outputs)


def run_all(page: Page) -> None:
    """Clear the outputs and run every cell; again when Lab, its kernel just started, forgets the request."""
    last = page.locator(".jp-CodeCell .jp-InputPrompt").last
    choose(page, "Edit", "Clear Outputs of All Cells")
    expect(last).to_have_text("[ ]:")
    for _ in range(60):
        if last.inner_text() == "[ ]:":  # neither waiting, [*], nor done
            choose(page, "Run", "Run All Cells")
        try:
            expect(last).to_have_text(re.compile(r"\[\d+\]:"), timeout=5_000)
        except AssertionError:
            continue
        return
    pytest.fail("the cells do not run")


def choose(page: Page, menu: str, entry: str) -> None:
    page.get_by_role("menuitem", name=menu, exact=True).click()
    page.get_by_role("menuitem", name=re.compile(f"^{entry}")).click()


def ranking(browser) -> list[str]:
    return browser.locator(".tps-results .tps-tile").evaluate_all("tiles => tiles.map(t => t.dataset.index)")
