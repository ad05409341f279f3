import pytest
import torch

from tpsnet.errors import InputError
from tpsnet.viz.figures.embedding import embedding_maps
from tpsnet.viz.theme import class_colours, domain_colours


@pytest.fixture
def domains(domain):
    return [domain("line", 10), domain("flat", 14)]


def test_every_point_is_drawn_with_its_class(domains, rng):
    maps = {"frozen": torch.rand(24, 2, generator=rng), "TPSNet": torch.rand(24, 2, generator=rng)}
    figure = embedding_maps(maps, domains, images=6)
    assert [(t.name, t.xaxis) for t in figure.data] == [
        ("line", "x"),
        ("flat", "x"),
        ("line", "x2"),
        ("flat", "x2"),
    ]
    for trace, points, picked, domain in [
        (figure.data[0], maps["frozen"], slice(0, 10), domains[0]),
        (figure.data[3], maps["TPSNet"], slice(10, 24), domains[1]),
    ]:
        assert list(zip(trace.x, trace.y, strict=True)) == [tuple(p) for p in points[picked].tolist()]
        assert list(trace.text) == [path.parent.name for path in domain.paths]


def test_the_buttons_recolour_every_trace(domains):
    figure = embedding_maps({"frozen": torch.rand(24, 2), "TPSNet": torch.rand(24, 2)}, domains, images=6)
    by_domain, by_class, with_images = figure.layout.updatemenus[0].buttons
    colours, palette = domain_colours(["line", "flat"]), class_colours(4)
    assert by_domain.args[0]["marker.color"] == [colours["line"], colours["flat"]] * 2
    assert by_class.args[0]["marker.color"] == [[i % 4 for i in range(n)] for n in (10, 14)] * 2
    (scale,) = by_class.args[0]["marker.colorscale"]
    ends = (by_class.args[0]["marker.cmin"], by_class.args[0]["marker.cmax"])
    assert [(position * (ends[1] - ends[0]), colour) for position, colour in scale] == list(
        enumerate(palette)
    )
    assert by_domain.args[1]["images"] == by_class.args[1]["images"] == []
    assert not figure.layout.images  # until the button is pressed
    assert len(with_images.args[1]["images"]) == 12


def test_an_image_stands_on_its_point(domains):
    points = torch.rand(24, 2)
    figure = embedding_maps({"frozen": points, "TPSNet": points.flip(1)}, domains, images=24)
    images = figure.layout.updatemenus[0].buttons[2].args[1]["images"]
    assert [(i["x"], i["y"]) for i in images[:24]] == [pytest.approx(p, abs=1e-4) for p in points.tolist()]
    assert {i["xref"] for i in images[:24]} == {"x"}
    assert {i["xref"] for i in images[24:]} == {"x2"}
    assert images[5]["source"] == images[29]["source"] != images[6]["source"]


def test_a_map_of_other_images_is_refused(domains):
    with pytest.raises(InputError, match="23 points for 24 images"):
        embedding_maps({"frozen": torch.rand(23, 2)}, domains)
