import base64
import io
import os
from pathlib import Path

import pytest
import torch
from hostile import NAMES
from PIL import Image

from tpsnet.errors import InputError
from tpsnet.escape import printable
from tpsnet.viz import thumbnails
from tpsnet.viz.theme import RIGHT, WRONG
from tpsnet.viz.thumbnails import Tile, contact_sheet, data_uri, encode, encode_all, png, thumbnail

RED = torch.tensor([220, 20, 20], dtype=torch.uint8).view(3, 1, 1).expand(3, 90, 90).clone()


def colour(image, x, y):
    return "#{:02x}{:02x}{:02x}".format(*image.getpixel((x, y)))


def test_a_thumbnail_keeps_the_shape_and_the_colour():
    wide = RED[:, :45]
    assert thumbnail(wide, 30).size == (30, 15)
    assert thumbnail(wide, 30).getpixel((10, 7)) == (220, 20, 20)


def test_transparent_files_lie_on_white_paper(tmp_path):
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert thumbnail(tmp_path / "clear.png", 8).getpixel((3, 3)) == (255, 255, 255)


def test_a_data_uri_is_a_small_webp(rng):
    drawing = torch.full((3, 96, 96), 255, dtype=torch.uint8)
    drawing[:, 20:70, 30:60] = torch.randint(0, 255, (3, 1, 1), generator=rng, dtype=torch.uint8)
    uri = data_uri(drawing, 48)
    head, body = uri.split(",")
    image = Image.open(io.BytesIO(base64.b64decode(body)))
    assert head == "data:image/webp;base64"
    assert image.format == "WEBP"
    assert image.size == (48, 48)
    assert len(uri) < 1000
    assert encode(drawing, 48) == base64.b64decode(body)


@pytest.mark.parametrize("bad", [torch.rand(3, 4, 4), torch.zeros(4, 4, dtype=torch.uint8)])
def test_what_is_no_image_is_refused(bad):
    with pytest.raises(InputError, match="uint8"):
        thumbnail(bad, 8)


def test_missing_and_broken_files_are_named(tmp_path):
    (tmp_path / "text.png").write_text("no image")
    for name in ("gone.png", "text.png"):
        with pytest.raises(InputError, match=name):
            thumbnail(tmp_path / name, 8)


def test_frames_tell_right_from_wrong_by_colour_and_by_form():
    sheet = contact_sheet([[Tile(RED), Tile(RED, right=True), Tile(RED, right=False)]], size=60)
    pitch = 70
    top = [[colour(sheet, 8 + c * pitch + x, 4) for x in range(60)] for c in range(3)]
    assert set(top[0]) == {"#ffffff"}  # a query has no frame
    assert set(top[1]) == {RIGHT}  # whole
    assert set(top[2]) == {WRONG, "#ffffff"}  # dashed
    assert colour(sheet, 8 + pitch + 30, 30) == "#dc1414"


def test_a_row_of_images_each_in_its_place():
    shades = [torch.full((3, 20, 20), v, dtype=torch.uint8) for v in (10, 100, 200)]
    sheet = contact_sheet([[Tile(s) for s in shades], [Tile(shades[2])]], ["first", "second"], size=20)
    assert [sheet.getpixel((8 + 30 * c + 10, 34))[0] for c in range(3)] == [10, 100, 200]
    assert sheet.getpixel((18, 34 + 44 + 18))[0] == 200


def test_a_long_caption_stays_in_its_column():
    short = contact_sheet([[Tile(RED, "x"), Tile(RED)]], size=60)
    long = contact_sheet([[Tile(RED, "a very long class name indeed"), Tile(RED)]], size=60)
    assert short.size == long.size
    right_of_it = (78, 0, *long.size)
    assert short.crop(right_of_it).tobytes() == long.crop(right_of_it).tobytes()


@pytest.mark.parametrize("name", NAMES, ids=printable)
def test_a_name_is_drawn_as_it_is_printed(name):
    """A line break in a caption cannot be measured, and one in a heading would lie over the images."""
    ours, plain = (contact_sheet([[Tile(RED, x), Tile(RED)]], [x]) for x in (name, printable(name)))
    assert ours.tobytes() == plain.tobytes()


def test_png_of_a_sheet_reads_back(rng):
    sheet = contact_sheet([[Tile(RED, "red", right=True)]])
    back = Image.open(io.BytesIO(png(sheet)))
    assert back.format == "PNG"
    assert back.size == sheet.size


def test_empty_sheets_and_headings_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="at least one"):
        contact_sheet([[]])
    with pytest.raises(InputError, match="2 headings for 1 rows"):
        contact_sheet([[Tile(RED)]], ["a", "b"])


@pytest.fixture
def decoded(monkeypatch):
    """The files that were decoded."""
    seen, real = [], thumbnails.decoded
    monkeypatch.setattr(thumbnails, "decoded", lambda file, **k: seen.append(file) or real(file, **k))
    return seen


def test_a_thumbnail_is_made_once_until_its_file_changes(tmp_path, monkeypatch, decoded):
    monkeypatch.setenv("TPSNET_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "x.png"
    Image.new("RGB", (50, 50), "red").save(file)
    first = encode(file, 20)
    assert encode(file, 20) == first and decoded == [file]
    assert encode(file, 30) != first and decoded == [file] * 2
    Image.new("RGB", (51, 51), "blue").save(file)
    assert encode(file, 20) != first and decoded == [file] * 3


def test_many_thumbnails_come_in_order_and_what_is_no_image_is_empty(tmp_path, monkeypatch):
    monkeypatch.setenv("TPSNET_CACHE", str(tmp_path / "cache"))
    files = [tmp_path / f"{i}.png" for i in range(12)]
    for i, file in enumerate(files):
        Image.new("RGB", (9, 9), (20 * i, 0, 0)).save(file)
    files[5].write_text("no image")
    files[7].unlink()
    made = encode_all(files, 9)
    assert [i for i, image in enumerate(made) if not image] == [5, 7]
    shades = [Image.open(io.BytesIO(m)).getpixel((4, 4))[0] if m else 20 * i for i, m in enumerate(made)]
    assert all(abs(shade - 20 * i) < 12 for i, shade in enumerate(shades))


def test_without_room_for_the_cache_images_are_still_shown(tmp_path, monkeypatch):
    (tmp_path / "cache").write_text("a file where the folder should be")
    monkeypatch.setenv("TPSNET_CACHE", str(tmp_path / "cache"))
    Image.new("RGB", (9, 9), "red").save(tmp_path / "x.png")
    assert Image.open(io.BytesIO(encode(tmp_path / "x.png", 9))).size == (9, 9)


def test_what_is_no_file_or_too_large_is_not_shown(tmp_path):
    """A pipe would wait for ever; a small file may claim a huge image."""
    os.mkfifo(tmp_path / "pipe.png")
    Image.new("1", (20000, 20000)).save(tmp_path / "larger.png")
    paths = [tmp_path / name for name in ("pipe.png", "larger.png")]
    for path in [*paths, tmp_path, Path("a\0b")]:
        with pytest.raises(InputError, match="cannot show"):
            thumbnail(path, 8)
    assert encode_all(paths, 8) == [b"", b""]


@pytest.mark.parametrize(
    "damage", [lambda b: b"", lambda b: b[:-3], lambda b: b"text" + b[4:], lambda b: b + b"x"]
)
def test_a_damaged_thumbnail_is_made_anew(tmp_path, monkeypatch, damage):
    monkeypatch.setenv("TPSNET_CACHE", str(tmp_path / "cache"))
    Image.new("RGB", (90, 90), "red").save(tmp_path / "red.png")
    whole = encode(tmp_path / "red.png", 30)
    (kept,) = (tmp_path / "cache" / "thumbnails").glob("*/*.webp")
    kept.write_bytes(damage(whole))
    assert encode(tmp_path / "red.png", 30) == whole == kept.read_bytes()
