import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image

from tpsnet.errors import InputError
from tpsnet.viz.figures import amplitude_slider, image_grid, similarity_boxes, to_uint8


def brightness(source):
    data = base64.b64decode(source.split(",")[1])
    return np.asarray(Image.open(io.BytesIO(data)).convert("L"), dtype=float).mean()


def grey(*values):
    return torch.stack([torch.full((3, 16, 16), v) for v in values])


def test_the_slider_carries_every_mixture():
    """With a swap that fades one image into the other, brightness tells which image is where."""
    first, second = grey(0.0, 0.2), grey(1.0, 0.8)
    figure = amplitude_slider(first, second, lambda a, b, s: (1 - s) * a + s * b, ("line", "flat"), steps=3)
    spots = [(image.x > 3, image.y, image.x) for image in figure.layout.images]
    assert len(set(spots)) == 8
    fixed = [brightness(image.source) / 255 for image in figure.layout.images[:4]]
    assert fixed == pytest.approx([0, 0.2, 1, 0.8], abs=0.03)
    (slider,) = figure.layout.sliders
    assert [step.label for step in slider.steps] == ["0%", "50%", "100%"]
    for share, step in zip((0, 0.5, 1), slider.steps, strict=True):
        mixed = {key: brightness(source) / 255 for key, source in step.args[0].items()}
        wanted = [share, 0.2 + 0.6 * share, 1 - share, 0.8 - 0.6 * share]
        assert list(mixed) == [f"images[{i}].source" for i in range(4, 8)]
        assert list(mixed.values()) == pytest.approx(wanted, abs=0.03)
    columns = [[round(i.x / 1.08) for i in figure.layout.images[2 * c : 2 * c + 2]] for c in range(4)]
    assert columns == [[0, 0], [3, 3], [1, 1], [2, 2]]  # a mixture stands beside the giver of its phase
    start = [image.source for image in figure.layout.images[4:]]
    assert start == list(
        slider.steps[slider.active].args[0].values()
    )  # what is drawn is what the slider says
    assert slider.active == 1
    rows = [[i.y for i in figure.layout.images[4 + 2 * c : 6 + 2 * c]] for c in range(2)]
    assert rows == [[i.y for i in figure.layout.images[:2]]] * 2  # a mixture stands in its image's row


def test_a_slider_needs_two_steps():
    with pytest.raises(InputError, match="at least 2"):
        amplitude_slider(grey(0.1), grey(0.2), lambda a, b, s: a, ("a", "b"), steps=1)


def test_each_group_has_its_box_and_median():
    figure = similarity_boxes({"own": torch.tensor([0.1, 0.5, 0.9]), "other": torch.tensor([0.2])}, axis="r")
    assert [list(trace.x) for trace in figure.data] == [pytest.approx([0.1, 0.5, 0.9]), pytest.approx([0.2])]
    assert "median 0.50" in figure.data[0].name


def test_a_phase_image_is_stretched_and_rgb_is_not():
    ramp = torch.linspace(-7, 13, 256).view(1, 1, 16, 16)
    assert to_uint8(ramp).shape == (1, 3, 16, 16)
    assert (int(to_uint8(ramp).min()), int(to_uint8(ramp).max())) == (0, 255)
    assert to_uint8(grey(0.25)).unique().tolist() == [64]
    assert to_uint8(torch.zeros(1, 1, 4, 4)).unique().tolist() == [0]  # a blank page


def test_a_grid_has_every_image_in_its_row_and_column():
    figure = image_grid({"dark": grey(0.0, 0.1), "light": (grey(0.9, 1.0) * 255).byte()}, ["first", "second"])
    seen = sorted((-image.y, image.x, brightness(image.source) / 255) for image in figure.layout.images)
    assert [light for *_, light in seen] == pytest.approx([0, 0.1, 0.9, 1.0], abs=0.03)
    assert list(figure.layout.yaxis.ticktext) == ["dark", "light"]
    with pytest.raises(InputError, match="one length"):
        image_grid({"a": grey(0.1), "b": grey(0.1, 0.2)})
    with pytest.raises(InputError, match="1 headings"):
        image_grid({"a": grey(0.1, 0.2)}, ["first"])
