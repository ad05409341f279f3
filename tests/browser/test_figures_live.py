"""The live map and the saved slider in a real Chromium, over images whose place on the page is known."""

import re
from pathlib import Path

import nbformat
import pytest
import torch
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tpsnet.cli.notebooks import run_notebook
from tpsnet.types import Embeddings

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
    for d, name in enumerate(("line", "flat")):
        paths = tuple(folder / f"{name}{i}.webp" for i in range(2))
        for i, path in enumerate(paths):
            Image.new("RGB", (40, 40), (200 * i, 100, 200 * d)).save(path)
        vectors = torch.eye(3)[torch.tensor([0, 1])]
        Embeddings(name, vectors, torch.tensor([0, 1]), ("apple", "boat"), paths).save(folder / name)
    kernel = {"name": "python3", "language": "python", "display_name": "Python 3"}
    cells = [new_code_cell(source.format(folder)) for source in CELLS]
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), folder / "source.ipynb")
    run_notebook(folder / "source.ipynb", folder / "map.ipynb")
    return folder / "map.ipynb"


def test_the_slider_of_a_saved_untrusted_file_changes_the_images(reopen, notebook):
    page = reopen(notebook)
    figure = page.locator(".js-plotly-plot").first
    figure.scroll_into_view_if_needed()
    expect(figure.locator("image")).to_have_count(8)
    before = sources(figure)
    rail = figure.locator(".slider-rail-touch-rect").bounding_box()
    page.mouse.click(rail["x"] + rail["width"] - 2, rail["y"] + rail["height"] / 2)
    expect(figure.locator(".slider-label").first).to_have_text(re.compile("100"))
    after = sources(figure)
    assert before[:4] == after[:4]  # the outer columns stay
    assert all(old != new for old, new in zip(before[4:], after[4:], strict=True))


def test_hovering_shows_the_image_beside_its_point_and_a_click_its_neighbours(reopen, notebook):
    page = reopen(notebook)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name=re.compile("^Run All Cells")).click()
    canvas = page.locator(".tps-map canvas")
    canvas.wait_for(timeout=180_000)
    canvas.scroll_into_view_if_needed()
    expect(page.locator(".tps-map option")).to_have_count(4)  # the points have arrived
    page.wait_for_timeout(900)  # and stand still
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
        assert card.locator("img").evaluate("image => image.naturalWidth") == 40
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


def sources(figure: Locator) -> list[str]:
    return figure.locator("image").evaluate_all(
        "images => images.map(i => i.getAttribute('xlink:href') || i.href.baseVal)"
    )


def hover(page: Page, box: dict, at: tuple[float, float]) -> None:
    page.mouse.move(box["x"] + at[0], box["y"] + at[1], steps=2)
