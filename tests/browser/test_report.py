"""A report opened from the disk in a real browser, with every request refused."""

import pytest
import torch
from browser.pixels import widths
from PIL import Image
from playwright.sync_api import expect

from tpsnet.types import Embeddings
from tpsnet.viz.document import document, embedding_map, grid, markdown, plot, section
from tpsnet.viz.figures import training_curves
from tpsnet.viz.thumbnails import Tile


@pytest.fixture
def report(tmp_path):
    paths = tuple(tmp_path / f"{i}.png" for i in range(30))
    for i, path in enumerate(paths):
        Image.new("RGB", (40, 40), (8 * i, 100, 0)).save(path)
    labels = torch.arange(30) % 2
    part = Embeddings("line", torch.eye(30), labels, ("<b>ant</b>", "bee"), paths)
    history = [{"stage": "maps", "epoch": e, "losses": {"loss": 3.0 - e}, "shares": {}} for e in range(3)]
    points = torch.stack([torch.arange(30) % 6, torch.arange(30) // 6], dim=1).float()
    tiles = [Tile(paths[0], "<b>ant</b>"), Tile(paths[2], "<b>ant</b>", True), Tile(paths[3], "bee", False)]
    parts = [
        section("Scores", markdown("| | mAP |\n| --- | ---: |\n| TPSNet | 51.1 |")),
        section("Training", plot(training_curves(history))),
        section("Queries", grid({"<b>ant</b>: 1 of 2": tiles})),
        section("Map", embedding_map([part], points, "one domain")),
    ]
    (tmp_path / "report.html").write_text(document("A <b>report</b>", parts), encoding="utf-8")
    return tmp_path / "report.html"


def test_from_the_disk_everything_is_shown_and_nothing_is_asked(page, report):
    asked, errors = [], []
    page.on("pageerror", lambda error: errors.append(str(error)))

    def guard(route):
        if route.request.url == report.as_uri():
            route.continue_()
        else:
            asked.append(route.request.url)
            route.abort()

    page.route("**/*", guard)
    try:
        page.goto(report.as_uri())
        expect(page.locator("h1")).to_have_text("A <b>report</b>")
        expect(page.locator("td").last).to_have_text("51.1")
        expect(page.locator(".js-plotly-plot .lines")).to_have_count(1)
        expect(page.locator("figcaption").nth(1)).to_have_text("✓ <b>ant</b>")
        canvas = page.locator(".map canvas")
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        page.mouse.move(box["x"] + 12, box["y"] + box["height"] - 12, steps=2)  # the first point: left, below
        expect(page.locator(".card")).to_be_hidden()
        at = canvas.evaluate(
            "c => { const d = JSON.parse(c.parentNode.querySelector('script').textContent).points[0];"
            " const s = c.getBoundingClientRect().width; return d.map((v) => 10 + v * (s - 20)); }"
        )
        page.mouse.move(box["x"] + at[0], box["y"] + at[1], steps=2)
        expect(page.locator(".card")).to_contain_text("<b>ant</b> (line)")
        assert min(widths(page.locator("img"))) > 0 and asked == [] and errors == []
        page.pdf(path=str(report.with_suffix(".pdf")))
        assert report.with_suffix(".pdf").stat().st_size > 10_000
    finally:
        page.unroute("**/*")
