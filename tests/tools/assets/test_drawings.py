"""Which emoji an icon's name means, icons as documents, and how alike two drawings are."""

import numpy as np
import pytest
from PIL import Image

from tools.assets.drawings import Drawing, render, resolve_icon, svg_document
from tools.assets.emoji_names import Emoji, match_names, normal_hexcode, slug
from tools.assets.likeness import likeness


def emoji(hexcode: str, label: str, *shortcodes: str) -> Emoji:
    return Emoji(hexcode, label, (), "objects", "tool", shortcodes)


def test_hexcodes_lose_case_and_variation_selectors():
    assert normal_hexcode("1F441-FE0F-200D-1F5E8-FE0F") == "1f441-200d-1f5e8"


def test_slugs_are_plain():
    assert slug("piñata") == "pinata"
    assert slug("A button (blood type)") == "a-button-blood-type"


def test_names_match_from_strict_to_loose():
    table = [
        emoji("1f3a1", "ferris wheel", "ferris_wheel"),
        emoji("1f50d", "magnifying glass tilted left", "mag"),
        emoji("1f697", "automobile", "car"),
        emoji("1f698", "oncoming automobile", "oncoming_automobile"),
    ]
    names = ["ferris-wheel", "ferriswheel", "left-pointing-magnifying-glass", "car", "submarine"]
    assert match_names(names, table) == {
        "ferris-wheel": "1f3a1",  # label
        "ferriswheel": "1f3a1",  # label without punctuation
        "left-pointing-magnifying-glass": "1f50d",  # Unicode name
        "car": "1f697",  # shortcode
    }


def test_a_name_that_fits_two_emoji_decides_nothing():
    table = [emoji("1f431", "cat face", "cat"), emoji("1f408", "house cat", "cat")]
    assert match_names(["cat"], table) == {"cat": "1f408"}  # by its Unicode name; the shortcode fits both
    assert match_names(["cat"], [emoji("1f600", "one", "cat"), emoji("1f601", "two", "cat")]) == {}


def test_numbered_variants_share_an_emoji():
    table = [emoji("1f453", "glasses")]
    assert match_names(["glasses-1", "glasses-2"], table) == {}
    found = match_names(["glasses-1", "glasses-2"], table, numbered=True)
    assert found == {"glasses-1": "1f453", "glasses-2": "1f453"}


def test_aliases_are_followed_unless_they_turn_the_icon():
    turned = {"parent": "a", "hFlip": True}
    icons = {"icons": {"a": {"body": "<g/>"}}, "aliases": {"b": {"parent": "a"}, "c": turned}}
    assert resolve_icon(icons, "b") == {"body": "<g/>"}
    for name in ("c", "nothing"):
        with pytest.raises(KeyError):
            resolve_icon(icons, name)


def test_a_wide_icon_stands_in_the_middle_of_a_square():
    document = svg_document({"width": 40, "height": 20}, {"body": "<g/>"})
    assert 'viewBox="0.0 -10.0 40 40"' in document


def test_open_colours_take_the_ink():
    pytest.importorskip("resvg_py")
    body = '<rect width="8" height="8" fill="currentColor"/>'
    drawing = Drawing("x", "half", "", svg=svg_document({"width": 16, "height": 8}, {"body": body}))
    pixels = render(drawing, 16, ink="#ff0000")
    assert pixels.shape == (16, 16, 4) and pixels.dtype == np.uint8
    assert pixels[8, 4].tolist() == [255, 0, 0, 255] and pixels[8, 12, 3] == 0 == pixels[2, 4, 3]


def test_twins_are_found_in_any_colour_and_mirrored():
    shape = np.asarray(Image.new("RGBA", (96, 96), (220, 0, 0, 255))).copy()
    shape[30:60, 10:40] = (0, 0, 200, 255)
    assert likeness(shape, shape) == pytest.approx(1)
    assert likeness(shape, shape[:, ::-1]) == pytest.approx(1)
    recoloured = shape.copy()
    recoloured[..., :3] = 255 - recoloured[..., :3] // 2
    assert likeness(shape, recoloured) > 0.6
    other = np.zeros_like(shape)
    other[40:50] = 255
    other[..., 3][20:80, 45:55] = 255
    assert likeness(shape, other) < 0.5
