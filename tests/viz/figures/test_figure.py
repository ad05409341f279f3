"""What every figure brings: our look, no way to a cloud, a still image where a browser can draw one."""

import base64
import io
import json

import pytest
from IPython.core.formatters import DisplayFormatter
from PIL import Image

from tools.jupyter import chromium_file
from tpsnet.escape import escape_plotly
from tpsnet.progress import PLAIN
from tpsnet.viz import stills
from tpsnet.viz.figures.figure import MIME, Figure, subplots
from tpsnet.viz.theme import TEMPLATE


@pytest.fixture
def figure(monkeypatch):
    monkeypatch.setenv(PLAIN, "1")  # as in a notebook that is executed
    figure = Figure(layout={"width": 300, "height": 200, "title": "three points"})
    return figure.add_scatter(y=[1, 3, 2], marker_color="#c94a00")


def test_nothing_offers_an_upload(figure, monkeypatch):
    monkeypatch.setattr(stills, "_camera", lambda: None)
    data, _ = DisplayFormatter().format(figure)
    config = data[MIME]["config"]
    assert "sendChartToCloud" in config["modeBarButtonsToRemove"] and config["plotlyServerURL"] == ""
    assert data["text/plain"] == "three points" and "image/png" not in data
    json.dumps(data)


def test_its_plain_text_is_the_title_without_plotlys_markup(figure):
    figure.update_layout(title=escape_plotly("<b> & c") + "<br><sup>of 3</sup>")
    assert DisplayFormatter().format(figure)[0]["text/plain"].split() == ["<b>", "&", "c", "of", "3"]


def test_a_figure_of_panels_has_the_same_look(figure):
    panels = subplots(1, 2, subplot_titles=("a", "b"))
    assert isinstance(panels, Figure) and panels.layout.template == figure.layout.template == TEMPLATE


def test_a_still_image_stands_beside_it(figure):
    if chromium_file() is None:
        pytest.skip("no chromium on this machine")
    data, _ = DisplayFormatter().format(figure)
    image = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
    assert image.size == (300, 200)
    colours = [colour for _, colour in image.convert("RGB").getcolors(100_000)]
    assert min(sum(abs(a - b) for a, b in zip(c, (201, 74, 0), strict=True)) for c in colours) < 20


def test_a_live_figure_leaves_its_image_to_the_page(figure, monkeypatch):
    monkeypatch.delenv(PLAIN)
    data, _ = DisplayFormatter().format(figure)
    assert set(data) == {MIME, "text/plain"}


def test_a_browser_that_fails_costs_the_image_alone(figure, monkeypatch, caplog):
    class Broken:
        def __getattr__(self, name):
            raise OSError("the browser is gone")

    monkeypatch.setattr(stills, "_camera", Broken)
    data, _ = DisplayFormatter().format(figure)
    assert "image/png" not in data and MIME in data
    assert "the browser is gone" in caplog.text
