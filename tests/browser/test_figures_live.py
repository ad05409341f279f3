"""The live map and the saved slider in a real Chromium, over images whose place on the page is known."""

import re
from pathlib import Path

import nbformat
import pytest
import torch
from axe_playwright_python.sync_playwright import Axe
from browser.colours import save_domain
from browser.pixels import widths
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import Locator, Page, expect

from tools.jupyter import open_notebook, run_cell, write_notebook
from tpsnet.cli.notebooks import run_notebook
from tpsnet.types import UNLABELLED

CELLS = [
    "k: int = 2",
    "import torch\nfrom pathlib import Path\nfrom tpsnet.types import Embeddings\n"
    "from tpsnet.viz import figures\nfrom tpsnet.viz.hover_map import HoverMap",
    "images = torch.rand(2, 3, 16, 16)\n"
    "figures.amplitude_slider(images, images.flip(0), torch.lerp, ('a', 'b'), steps=3)",
    "both = [Embeddings.load(Path('{}') / name) for name in ('line', 'flat')]\n"
    "square = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])\n"
    "HoverMap({{'first': (both, square), 'second': (both, square.flip(1))}}, k=k)",
]


@pytest.fixture(scope="module")
def notebook(tmp_path_factory) -> Path:
    """Executed: a slider, and a map of four images at the corners of a square."""
    folder = tmp_path_factory.mktemp("map")
    for name in ("line", "flat"):
        save_domain(folder / name, name, torch.eye(3)[:2], torch.arange(2), ("apple", "boat"))
    kernel = {"name": "python3", "language": "python", "display_name": "Python 3"}
    cells = [new_code_cell(source.format(folder)) for source in CELLS]
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), folder / "source.ipynb")
    run_notebook(folder / "source.ipynb", folder / "map.ipynb")
    return folder / "map.ipynb"


def test_the_slider_of_a_saved_untrusted_file_changes_the_images(reopen, notebook):
    page = reopen(notebook)
    figure = page.locator(".jp-RenderedPlotly").first
    figure.scroll_into_view_if_needed()
    figure.hover()  # its still image becomes the figure
    expect(figure.locator("image")).to_have_count(8)
    before = sources(figure)
    rail = figure.locator(".slider-rail-touch-rect").bounding_box()
    page.mouse.click(rail["x"] + rail["width"] - 2, rail["y"] + rail["height"] / 2)
    expect(figure.locator(".slider-label").first).to_have_text(re.compile("100"))
    for place, old in enumerate(before[4:], start=4):  # the label changes before the images are drawn
        expect(figure.locator("image").nth(place)).not_to_have_attribute("xlink:href", old)
    assert sources(figure)[:4] == before[:4]  # the outer columns stay


def test_hovering_shows_the_image_beside_its_point_and_a_click_its_neighbours(reopen, notebook):
    page = reopen(notebook)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name=re.compile("^Run All Cells")).click()
    canvas = page.locator(".tps-map canvas").first
    canvas.wait_for(timeout=180_000)
    canvas.scroll_into_view_if_needed()
    page.locator(".tps-map select").first.wait_for()  # the points have arrived
    picture = None
    while picture != (picture := canvas.evaluate("canvas => canvas.toDataURL()")):
        page.wait_for_timeout(900)  # until they stand still
    box = canvas.bounding_box()
    # A square of points fills the canvas' height, 16 px from the edge, and is centred in its width.
    half = (box["height"] - 32) / 2
    for index, (x, y) in enumerate([(-1, 1), (-1, -1), (1, 1), (1, -1)]):  # screen: y downwards
        at = (box["width"] / 2 + x * half, box["height"] / 2 + y * half)
        domain, name = ("line", "flat")[index // 2], ("apple", "boat")[index % 2]
        hover(page, box, (at[0] + 6, at[1] - 6))  # near is enough: the pick radius is 14 px
        card = page.locator(".tps-card")
        expect(card).to_be_visible()
        expect(card).to_have_text(f"{name} ({domain})")
        assert widths(card.locator("img")) == [40]
        area = card.bounding_box()
        point = (box["x"] + at[0], box["y"] + at[1])
        covered = area["x"] <= point[0] <= area["x"] + area["width"]
        assert not (covered and area["y"] <= point[1] <= area["y"] + area["height"])
    page.mouse.click(point[0], point[1])  # the boat of "flat": its twin of "line", then an equal tie's first
    status = page.locator(".tps-map [role=status]")
    expect(status).to_have_text(re.compile("2 nearest in the original space: 1 of its class, 2 of the other"))
    hover(page, box, (box["width"] / 2, box["height"] / 2))  # nothing there
    expect(card).to_be_hidden()
    canvas.focus()
    page.keyboard.press("ArrowRight")
    expect(card).to_be_visible()
    assert "flat" in card.inner_text()  # both points on the right are of this domain


@pytest.fixture(scope="module")
def cloud(tmp_path_factory) -> Path:
    """40 images in two domains and four classes, one point far away; a browser beside the map."""
    folder = tmp_path_factory.mktemp("cloud")
    for d, name in enumerate(("line", "flat")):
        rng, labels = torch.Generator().manual_seed(d), torch.arange(20) % 4
        rows = torch.eye(6)[labels] + 0.2 * torch.randn(20, 6, generator=rng)
        save_domain(folder / name, name, rows, labels, ("ant", "bee", "cat", "dog"))
    save_domain(folder / "own", "own", torch.randn(12, 6, generator=rng), torch.zeros(12).long(), UNLABELLED)
    return folder


CLOUD = [
    "import torch\nfrom pathlib import Path\nfrom tpsnet.types import Embeddings\n"
    "from tpsnet.viz.browser import RetrievalBrowser\nfrom tpsnet.viz.hover_map import HoverMap\n"
    "both = [Embeddings.load(Path('{}') / name) for name in ('line', 'flat')]\n"
    "points = torch.rand(40, 2, generator=torch.Generator().manual_seed(0))\npoints[7] = 1000",
    "browser = RetrievalBrowser({{'first': both}})\n"
    "HoverMap({{'first': (both, points), 'second': (both, points.flip(1))}}, k=5, browser=browser)",
    "browser",
    "print(browser.query)",
]


def test_the_map_zooms_moves_highlights_and_follows_the_browser(lab, page, cloud):
    root, address = lab
    write_notebook(root / "cloud.ipynb", [cell.format(cloud) for cell in CLOUD])
    open_notebook(page, address.format("cloud.ipynb"))
    for number in range(3):
        run_cell(page, number)
    here, browser = page.locator(".tps-map"), page.locator(".tps-browser")
    status, outside = here.get_by_role("status"), lambda n: expect(here).to_have_attribute("data-outside", n)
    here.scroll_into_view_if_needed()
    outside("1")  # the far point does not shrink the others
    for _ in range(8):
        here.get_by_role("button", name="zoom in").click()
    expect(here).not_to_have_attribute("data-outside", "1")
    here.get_by_role("button", name="show all points").click()
    outside("1")
    canvas = here.locator("canvas").first
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 200)
    page.mouse.down()
    page.mouse.move(box["x"] + 200 + box["width"], box["y"] + 200, steps=4)
    page.mouse.up()
    outside("40")
    canvas.focus()
    page.keyboard.press("0")
    outside("1")
    here.get_by_label("colour by").select_option("class")
    expect(here.locator(".tps-legend")).to_contain_text("dog")
    here.get_by_label("highlight a class").fill("bee")
    here.get_by_label("highlight a class").press("Enter")
    expect(here.locator(".tps-legend")).not_to_contain_text("dog")
    for by, legend in (
        ("first answer", "wrong"),
        ("average precision", "80–100 %"),
        ("neighbours kept", "0–20 %"),
    ):
        here.get_by_label("colour by").select_option(by)
        expect(here.locator(".tps-legend")).to_contain_text(legend)
        expect(here).to_have_attribute("aria-busy", "false")
    canvas.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(here.locator(".tps-near")).to_have_count(6)
    expect(status).to_contain_text("5 nearest in the original space")
    asked = here.locator(".tps-near").first.get_attribute("aria-label").split(", ")[1]
    expect(browser.locator(".tps-title")).to_contain_text(f"{asked}, asked in")
    here.locator(".tps-near").nth(2).click()
    expect(browser.locator(".tps-way button")).to_have_count(3)
    here.get_by_label("system").select_option("second")
    expect(status).to_contain_text("Hover a point")
    expect(here.locator(".tps-near")).to_have_count(0)
    found = Axe().run(page, context=".tps-map").response["violations"]
    assert [v["id"] for v in found if v["impact"] in ("serious", "critical")] == []
    page.set_viewport_size({"width": 700, "height": 900})
    try:
        expect(canvas).not_to_have_css("width", f"{round(box['width'])}px")
        assert canvas.bounding_box()["width"] <= here.bounding_box()["width"]
    finally:
        page.set_viewport_size({"width": 1500, "height": 1100})


def test_a_map_of_unlabelled_images_invents_no_class(lab, page, cloud):
    root, address = lab
    cells = ["\n".join([*CLOUD[0].splitlines()[:-3], "own = [Embeddings.load(Path('{}') / 'own')]"])]
    cells += ["HoverMap({{'m': (own, torch.rand(12, 2))}}, k=3)"]
    write_notebook(root / "own.ipynb", [cell.format(cloud) for cell in cells])
    open_notebook(page, address.format("own.ipynb"))
    for number in range(2):
        run_cell(page, number)
    here = page.locator(".tps-map")
    here.locator("canvas").first.focus()
    page.keyboard.press("ArrowRight")
    expect(here.locator(".tps-card")).to_be_visible()
    assert "unlabelled" not in here.locator(".tps-card").inner_text()
    page.keyboard.press("Enter")
    expect(here.locator(".tps-near")).to_have_count(4)
    assert "its class" not in here.get_by_role("status").inner_text()
    ways = here.get_by_label("colour by").locator("option").all_inner_texts()
    assert "domain" in ways and not {"class", "first answer", "average precision"} & set(ways)


def sources(figure: Locator) -> list[str]:
    return figure.locator("image").evaluate_all(
        "images => images.map(i => i.getAttribute('xlink:href') || i.href.baseVal)"
    )


def hover(page: Page, box: dict, at: tuple[float, float]) -> None:
    page.mouse.move(box["x"] + at[0], box["y"] + at[1], steps=2)
