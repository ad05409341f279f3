import base64
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hostile import NAMES
from PIL import Image

from tpsnet.errors import InputError
from tpsnet.escape import printable
from tpsnet.evaluation import evaluate, rank
from tpsnet.viz import hover_map
from tpsnet.viz.browser import RetrievalBrowser
from tpsnet.viz.hover_map import HoverMap, fitted
from tpsnet.viz.projection import neighbours_kept
from tpsnet.viz.theme import PALETTE


@pytest.fixture
def systems(domain, noisier, rng):
    domains = [domain("line", 10), domain("flat", 14)]
    worse = [noisier(d) for d in domains]
    return {
        "frozen": (worse, torch.rand(24, 2, generator=rng)),
        "TPSNet": (domains, torch.rand(24, 2, generator=rng)),
    }


@pytest.fixture
def widget(systems):
    return HoverMap(systems, k=5)


def answer(widget, monkeypatch, message):
    """The answer to a message of the page, which is followed by the end of it."""
    sent = []
    monkeypatch.setattr(
        type(widget), "send", lambda self, content, buffers=(): sent.append((content, buffers))
    )
    widget._handle_custom_msg({"id": "a:1", **message}, [])
    assert sent.pop()[0] == {"kind": "done", "id": "a:1"}
    return sent[-1]


def test_the_points_travel_as_they_are(widget, systems, monkeypatch):
    head, (domains, classes, *maps) = answer(widget, monkeypatch, {"kind": "hello", "has": False})
    assert head["maps"] == ["frozen", "TPSNet"]
    assert [d["name"] for d in head["domains"]] == ["line", "flat"]
    assert np.frombuffer(domains, "u1").tolist() == [0] * 10 + [1] * 14
    labels = [*range(10), *range(14)]
    assert np.frombuffer(classes, "<u2").tolist() == [i % 4 for i in labels]
    assert head["classes"] == ["apple", "boat", "cat", "drum"] and len(head["hues"]) == 4
    for sent, (_, points) in zip(maps, systems.values(), strict=True):
        np.testing.assert_array_equal(np.frombuffer(sent, "<f4").reshape(-1, 2), points.numpy())


def test_hovering_shows_the_point_s_own_image(widget, systems, monkeypatch):
    flat = systems["frozen"][0][1]
    content, (image,) = answer(widget, monkeypatch, {"kind": "hover", "index": 10 + 3})
    assert content == {"kind": "hover", "index": 13, "class": "drum", "domain": "flat", "id": "a:1"} | {
        "path": str(flat.paths[3])
    }
    shown = Image.open(io.BytesIO(image)).convert("RGB").getpixel((20, 15))
    wanted = Image.open(flat.paths[3]).convert("RGB").getpixel((20, 15))
    assert max(abs(a - b) for a, b in zip(shown, wanted, strict=True)) < 12


@pytest.mark.parametrize("name", ["frozen", "TPSNet"])
def test_neighbours_come_from_the_original_space(widget, systems, name, monkeypatch):
    content, images = answer(widget, monkeypatch, {"kind": "neighbours", "map": name, "index": 12})
    rows = torch.cat([part.vectors for part in systems[name][0]]).double()
    slow = [i for i in (rows @ rows[12]).argsort(descending=True).tolist() if i != 12]
    assert [row["index"] for row in content["found"]] == [12, *slow[:5]]
    assert [row["domain"] for row in content["found"]] == [
        "line" if i < 10 else "flat" for i in [12, *slow[:5]]
    ]
    assert len(images) == 6 and all(images)


@pytest.mark.parametrize("name", ["frozen", "TPSNet"])
def test_points_are_shaded_by_what_they_get_and_by_what_the_map_keeps(widget, systems, name, monkeypatch):
    line, flat = systems[name][0]
    shades = {}
    for by in ("first answer", "average precision", "neighbours kept"):
        content, (values,) = answer(widget, monkeypatch, {"kind": "shade", "map": name, "by": by})
        assert (content["map"], content["by"]) == (name, by)
        shades[by] = torch.from_numpy(np.frombuffer(values, "<f4").copy())
    forth, back = rank(line, flat, 14), rank(flat, line, 10)
    first = torch.cat([forth.relevant[:, 0], back.relevant[:, 0]])
    assert shades["first answer"].tolist() == first.float().tolist()
    assert float(shades["average precision"][:10].mean()) == pytest.approx(
        evaluate(line, flat, (1,)).mean_ap, abs=1e-4
    )
    assert float(shades["average precision"][10:].mean()) == pytest.approx(
        evaluate(flat, line, (1,)).mean_ap, abs=1e-4
    )
    kept = neighbours_kept(torch.cat([line.vectors, flat.vectors]), systems[name][1], 3)
    assert shades["neighbours kept"].tolist() == kept.tolist()


def test_map_and_browser_follow_each_other(systems, monkeypatch):
    monkeypatch.setattr(RetrievalBrowser, "send", lambda self, content, buffers=(): None)
    browser = RetrievalBrowser({name: domains for name, (domains, _) in systems.items()})
    widget = HoverMap(systems, k=5, browser=browser)
    answer(widget, monkeypatch, {"kind": "neighbours", "map": "frozen", "index": 13})
    assert (browser.query["domain"], browser.query["index"], browser.query["gallery"]) == ("flat", 3, "line")
    browser.show(4, "line", "flat")
    assert widget.point == 4
    browser.show(2, "flat", "line")
    assert widget.point == 12


def test_the_points_travel_with_the_widget_until_the_page_has_them(widget, monkeypatch):
    assert [part["message"]["kind"] for part in widget.opening] == ["points"]
    sent = []
    monkeypatch.setattr(type(widget), "send", lambda self, content, buffers=(): sent.append(content))
    widget._handle_custom_msg({"kind": "hello", "has": True, "id": "a:1"}, [])
    assert widget.opening == [] and sent == [{"kind": "done", "id": "a:1"}]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"kind": "hover", "index": 24}, "points 0 to 23"),
        ({"kind": "neighbours", "map": "other", "index": 0}, "no map 'other'"),
        ({"kind": "shade", "map": "frozen", "by": "mood"}, "shaded by 'mood'"),
        ({"kind": "zoom"}, "does not understand"),
    ],
)
def test_messages_without_sense_get_their_reason_back(widget, monkeypatch, message, reason):
    content, buffers = answer(widget, monkeypatch, message)
    assert content["kind"] == "error"
    assert reason in content["text"]
    assert buffers == []


def test_the_saved_view_has_the_colours_of_both_domains(widget):
    data, _ = widget._repr_mimebundle_()
    sheet = Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).convert("RGB")
    colours = {"#{:02x}{:02x}{:02x}".format(*c) for _, c in sheet.getcolors(1 << 20)}
    assert {PALETTE[0], PALETTE[1]} <= colours
    assert "10 line and 14 flat images under frozen, TPSNet" in data["text/plain"]
    assert len(data["image/png"]) < 200_000


@pytest.mark.parametrize("name", NAMES, ids=printable)
def test_names_in_the_saved_view_are_drawn_as_they_are_printed(systems, name):
    domains, points = systems["TPSNet"]
    views = []
    for own in (name, printable(name)):
        domains = [replace(part, domain=f"{own}{i}") for i, part in enumerate(domains)]
        views.append(HoverMap({own: (domains, points)}, k=2)._repr_mimebundle_()[0])
    ours, plain = views
    assert (ours["image/png"], ours["text/plain"]) == (plain["image/png"], plain["text/plain"])
    assert ours["text/plain"] == printable(ours["text/plain"])


def test_the_state_stays_small(widget):
    widget._handle_custom_msg({"kind": "hello", "has": True}, [])
    state = {name: value for name, value in widget.get_state().items() if name not in ("_esm", "_css")}
    assert sum(len(str(value)) for value in state.values()) < 2_000


def test_the_pages_code_stays_small():
    files = (Path(hover_map.__file__).with_name(f"{name}.js") for name in ("page", "browser", "hover_map"))
    assert sum(file.stat().st_size for file in files) < 40_000


def test_fitting_keeps_the_shape_and_turns_y_down():
    points = torch.tensor([[2.0, 1.0], [6.0, 1.0], [6.0, 3.0]])  # a 4 × 2 triangle
    wanted = torch.tensor([[0.0, 0.75], [1.0, 0.75], [1.0, 0.25]])
    torch.testing.assert_close(fitted(points), wanted)


def test_a_far_point_does_not_shrink_the_others():
    points = torch.rand(1000, 2, generator=torch.Generator().manual_seed(0))
    with_one = torch.cat([points, torch.tensor([[1000.0, 0.5]])])
    torch.testing.assert_close(fitted(with_one)[:-1], fitted(points))
    assert fitted(with_one)[-1, 0] == 1


def test_maps_that_do_not_fit_are_refused(systems):
    domains, points = systems["frozen"]
    with pytest.raises(InputError, match="do not belong together"):
        HoverMap({"frozen": (domains, points[:-1])})
    with pytest.raises(InputError, match="do not belong together"):
        HoverMap(systems | {"swapped": (domains[::-1], points)})
    with pytest.raises(InputError, match="cannot show 24 neighbours"):
        HoverMap(systems, k=24)
    with pytest.raises(InputError, match="at least one system"):
        HoverMap({})
    other = RetrievalBrowser({"frozen": domains[::-1][:1]})
    with pytest.raises(InputError, match="different images"):
        HoverMap(systems, browser=other)
