"""The browser behind a hub's proxy, in the dark theme, without WebGL, and for assistive technology."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from axe_playwright_python.sync_playwright import Axe
from browser.colours import save_domain
from browser.pixels import widths
from playwright.sync_api import Page, Route, expect

from tools.jupyter import chromium, jupyterlab, open_notebook, run_cell, write_notebook

CELLS = [
    "from pathlib import Path\nfrom tpsnet.types import Embeddings\n"
    "from tpsnet.viz.browser import RetrievalBrowser\n"
    "both = [Embeddings.load(Path('{folder}') / name) for name in ('line', 'flat')]",
    "RetrievalBrowser({{'good': both, 'same': both}}, k=6, page_size=6)",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Two domains of eight images."""
    folder, labels = tmp_path_factory.mktemp("images"), torch.arange(8) % 2
    for name in ("line", "flat"):
        save_domain(
            folder / name, name, torch.eye(4)[labels] + 0.1 * torch.arange(8)[:, None], labels, ("ant", "bee")
        )
    return folder


@pytest.fixture(scope="module", params=["JupyterLab Light", "JupyterLab Dark"])
def opened(request, tmp_path_factory, folder) -> Iterator[tuple[Page, list[str]]]:
    """A page whose server lives under ``/user/x/``; every other address is refused, and noted."""
    root, home, refused = tmp_path_factory.mktemp("root"), tmp_path_factory.mktemp("home"), []
    lab = jupyterlab(root, home, base="/user/x/", theme=request.param)
    with lab as address, chromium(["--disable-3d-apis"]) as page:
        allowed = address.split("lab/tree")[0]

        def guard(route: Route) -> None:
            if route.request.url.startswith((allowed, "blob:", "data:")):
                route.continue_()
            else:
                refused.append(route.request.url)
                route.abort()

        page.route("**/*", guard)
        write_notebook(root / "a.ipynb", [cell.format(folder=folder) for cell in CELLS])
        open_notebook(page, address.format("a.ipynb"))
        for number in range(len(CELLS)):
            run_cell(page, number)
        page.locator(".tps-result img").first.wait_for()
        yield page, refused


def test_behind_a_proxy_nothing_else_is_asked(opened):
    page, refused = opened
    browser = page.locator(".tps-browser")
    path = browser.locator(".tps-title .tps-path")
    before = path.inner_text()
    browser.locator(".tps-query .tps-face").last.click()
    expect(path).not_to_have_text(before)
    assert min(widths(browser.locator("img"))) > 0
    assert refused == []


def test_assistive_technology_finds_its_way(opened):
    page, _ = opened
    browser = page.locator(".tps-browser")
    answers = browser.locator(".tps-right")
    browser.get_by_label("beside").select_option("same")
    expect(answers).to_have_attribute("aria-busy", "false")
    browser.locator(".tps-query .tps-face").first.click()
    expect(answers).to_have_attribute("aria-busy", "false")  # a part that is drawn anew cannot be scrolled to
    for part in (".tps-query", ".tps-title", "section"):
        browser.locator(part).last.scroll_into_view_if_needed()
        found = Axe().run(page, context=".tps-browser").response["violations"]
        bad = {v["id"]: v["nodes"][0]["html"][:120] for v in found if v["impact"] in ("serious", "critical")}
        assert bad == {}


def test_the_theme_s_colours_are_used(opened):
    page, _ = opened
    browser = page.locator(".tps-browser")
    dark = page.locator("body").get_attribute("data-jp-theme-light") == "false"
    for part in ("", " select", " .tps-tile"):
        shade = page.locator(f".tps-browser{part}").first.evaluate(
            "node => getComputedStyle(node).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number)"
        )
        assert (max(shade) < 100) == dark, (part, shade)
    assert browser.is_visible()
