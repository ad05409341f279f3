import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image
from viz.reference_ranking import slow_ranking

from tpsnet.errors import InputError
from tpsnet.viz.hover_map import HoverMap, fitted
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
    sent = []
    monkeypatch.setattr(
        type(widget), "send", lambda self, content, buffers=None: sent.append((content, buffers))
    )
    widget._handle_custom_msg(message, [])
    (only,) = sent
    return only


def test_the_points_travel_as_they_are(widget, systems, monkeypatch):
    head, (domains, classes, *maps) = answer(widget, monkeypatch, {"kind": "points"})
    assert head["maps"] == ["frozen", "TPSNet"]
    assert [d["name"] for d in head["domains"]] == ["line", "flat"]
    assert np.frombuffer(domains, "u1").tolist() == [0] * 10 + [1] * 14
    labels = [*range(10), *range(14)]
    assert np.frombuffer(classes, "<u2").tolist() == [i % 4 for i in labels]
    assert len(head["classes"]) == 4
    for sent, (_, points) in zip(maps, systems.values(), strict=True):
        np.testing.assert_array_equal(np.frombuffer(sent, "<f4").reshape(-1, 2), points.numpy())


def test_hovering_shows_the_point_s_own_image(widget, systems, monkeypatch):
    flat = systems["frozen"][0][1]
    content, (image,) = answer(widget, monkeypatch, {"kind": "hover", "index": 10 + 3})
    assert content == {"kind": "hover", "index": 13, "class": "drum", "domain": "flat"}
    shown = Image.open(io.BytesIO(image)).convert("RGB").getpixel((20, 15))
    wanted = Image.open(flat.paths[3]).convert("RGB").getpixel((20, 15))
    assert max(abs(a - b) for a, b in zip(shown, wanted, strict=True)) < 12


@pytest.mark.parametrize("name", ["frozen", "TPSNet"])
def test_neighbours_come_from_the_original_space(widget, name, monkeypatch):
    content, _ = answer(widget, monkeypatch, {"kind": "neighbours", "map": name, "index": 12})
    everything = widget.all[name]
    slow = [i for i, *_ in slow_ranking(everything, 12, everything, 24) if i != 12]
    assert content["found"] == slow[:5]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"kind": "hover", "index": 24}, "points 0 to 23"),
        ({"kind": "neighbours", "map": "other", "index": 0}, "no map 'other'"),
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


def test_the_state_stays_small(widget):
    assert sum(len(str(value)) for value in widget.get_state().values()) < 20_000
    assert len(widget._esm) < 15_000


def test_fitting_keeps_the_shape_and_turns_y_down():
    points = torch.tensor([[2.0, 1.0], [6.0, 1.0], [6.0, 3.0]])  # a 4 × 2 triangle
    torch.testing.assert_close(fitted(points), torch.tensor([[0.0, 0.75], [1.0, 0.75], [1.0, 0.25]]))


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
