"""What becomes of an image: size, paper, colours, orientation; and the shapes that are refused."""

import os
import struct
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image, ImageCms, UnidentifiedImageError
from torchvision.transforms import v2

from tpsnet.data import decode, decoded, image_folder, load_images, resized
from tpsnet.errors import InputError
from tpsnet.types import Resize
from tpsnet.viz.thumbnails import thumbnail

decoder = sys.modules["tpsnet.data.decode"]  # whose name in the package is the function's
PROFILES = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")


@pytest.fixture
def domain(tree):
    return image_folder(tree({"art/ant": 3, "art/bee": 3}))["art"]


def one(tree, image, name="x.png", size=16, **options):
    """The pixels of a domain that holds this one image."""
    root = tree({"art/ant": 0})
    image.save(root / "art/ant" / name, **options)
    return load_images(image_folder(root)["art"], size)[1].pixels[0]


def test_images_of_the_wanted_size_are_left_alone(tree, domain):
    pixels = load_images(domain.subset([4]), 20)[1].pixels
    original = np.asarray(Image.open(domain.paths[4]))[:, 2:22]  # 20×24: the central square
    assert torch.equal(pixels[0], torch.from_numpy(original.copy()).permute(2, 0, 1))


@pytest.mark.parametrize("shape", [(60, 90), (90, 60), (64, 64), (33, 47)])
def test_same_as_torchvision(tree, shape):
    """To the bit: what CLIP models were trained on goes through these two steps."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    smooth = np.stack([127 + 120 * np.sin(x / 9), 127 + 120 * np.cos(y / 7), 2 * x + y], 2)
    image = Image.fromarray(smooth.clip(0, 255).astype(np.uint8))
    theirs = v2.Compose([v2.Resize(16, v2.InterpolationMode.BICUBIC), v2.CenterCrop(16), v2.PILToTensor()])
    assert torch.equal(one(tree, image), theirs(image))


def test_shrinking_averages(tree):
    """A one-pixel chequerboard becomes grey; without antialiasing it would stay black and white."""
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    pixels = one(tree, Image.fromarray(board))
    assert (pixels[:, 2:-2, 2:-2].int() - 127).abs().max() <= 6


def test_paper_shows_through(tree):
    assert (one(tree, Image.new("RGBA", (16, 16), (0, 0, 0, 0))) == 255).all()


def test_half_transparent_red_on_paper(tree):
    pixels = one(tree, Image.new("RGBA", (16, 16), (255, 0, 0, 128)))
    assert pixels[:, 0, 0].tolist() == [255, 127, 127]


def test_transparent_palette(tree):
    image = Image.new("P", (16, 16), 0)
    image.putpalette([0, 0, 0, 255, 0, 0])
    assert (one(tree, image, transparency=0) == 255).all()


def test_sixteen_bit_grey_keeps_its_tones(tree):
    tones = np.repeat(np.array([[0], [16384], [32768], [65535]], np.uint16), 4, axis=0).repeat(16, axis=1)
    pixels = one(tree, Image.fromarray(tones))
    assert pixels[0, ::4, 0].tolist() == [0, 64, 128, 255]


def test_images_are_turned_upright(tree):
    """Orientation 6: what the camera stored as the left column is the top row."""
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[:, :8] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    shown = one(tree, Image.fromarray(pixels), "x.jpg", exif=exif, quality=95)
    assert (shown[:, :7] > 200).all() and (shown[:, 9:] < 50).all()


def test_eight_pixels_are_enough(tree):
    assert (one(tree, Image.new("RGB", (8, 8), "red"))[0] == 255).all()


def test_a_strip_is_refused_before_it_costs_memory(tree):
    """Its shorter side grows to the wanted size, and the longer one with it."""
    with pytest.raises(InputError, match="no readable image"):
        one(tree, Image.new("RGB", (8, 1000)))


def test_a_long_image_is_not_yet_a_strip(tree):
    assert one(tree, Image.new("RGB", (8, 800))).shape == (3, 16, 16)


FORMATS = {"1": "png", "L": "png", "P": "png", "LA": "png", "RGBA": "png", "RGB": "png", "I;16": "png"}
FORMATS |= {"CMYK": "jpg", "YCbCr": "tiff", "I": "tiff", "LAB": "tiff"}
# Where the stored image's left upper corner stands in the upright one (x, y as shares): EXIF 2.32, 4.6.4.
CORNERS = {1: (0, 0), 2: (1, 0), 3: (1, 1), 4: (0, 1), 5: (0, 0), 6: (1, 0), 7: (1, 1), 8: (0, 1)}


@pytest.mark.parametrize("orientation", CORNERS)
@pytest.mark.parametrize("mode", FORMATS)
def test_models_and_eyes_see_the_same_image(tmp_path, mode, orientation):
    """A light corner in a dark image of every mode, stored in every orientation."""
    deep = np.zeros((24, 16), np.uint16)
    deep[:8, :8] = 65535
    image = Image.fromarray(deep)
    if mode == "I":
        image = Image.fromarray(deep.astype(np.int32))
    elif mode != "I;16":
        rgb = Image.fromarray((deep >> 8).astype(np.uint8)).convert("RGB")
        image = ImageCms.profileToProfile(rgb, *PROFILES, outputMode="LAB") if mode == "LAB" else rgb
        image = image if mode == "LAB" else image.convert(mode)
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = tmp_path / f"x.{FORMATS[mode]}"
    image.save(file, exif=exif)
    shown = decode(file)
    assert (shown.mode, shown.size) == ("RGB", (24, 16) if orientation > 4 else (16, 24))
    light = np.asarray(shown).mean(axis=2) > 128
    x, y = CORNERS[orientation]
    rows, columns = (slice(-8, None) if side else slice(0, 8) for side in (y, x))
    assert light[rows, columns].all() and light.sum() == 64
    seen = thumbnail(file, 24)
    np.testing.assert_array_equal(np.asarray(seen), np.asarray(shown))


def test_a_large_jpeg_is_decoded_near_the_size_that_is_asked_for(tmp_path):
    Image.new("RGB", (1600, 1200), "red").save(tmp_path / "x.jpg")
    assert decode(tmp_path / "x.jpg", near=120).size == (200, 150)
    assert decode(tmp_path / "x.jpg").size == (1600, 1200)


def photograph(height: int, width: int) -> Image.Image:
    """Soft shapes and fine grain, in three unlike channels."""
    y, x = np.mgrid[:height, :width]
    soft = np.stack([127 + 90 * np.sin(x / 9), 127 + 90 * np.cos(y / 7), (2 * x + y) % 200], 2)
    grain = np.random.default_rng(height * width).normal(0, 25, soft.shape)
    return Image.fromarray((soft + grain).clip(0, 255).astype(np.uint8))


RESIZES = [
    Resize(size, mode, kind, fill)
    for size in (32, (24, 40), (48, 26))
    for mode, fill in (("shortest", 0), ("squash", 0), ("longest", 0), ("longest", 200))
    for kind in ("bicubic", "bilinear")
    if size == 32 or (mode, kind) != ("shortest", "bilinear")  # open_clip has no such thing
]


@pytest.mark.parametrize("how", RESIZES, ids=str)
@pytest.mark.parametrize("shape", [(61, 90), (93, 47), (64, 64), (33, 101), (20, 17), (9, 400), (32, 32)])
def test_pixels_are_those_of_open_clip(tree, cache, how, shape):
    """To the bit, through the folder and the cache, whatever the model's preprocessing asks for."""
    image = photograph(*shape)
    theirs = open_clip.image_transform(
        how.size,
        is_train=False,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        resize_mode=how.mode,
        interpolation=how.interpolation,
        fill_color=how.fill,
    )
    expected = (theirs(image) * 255).round().byte()
    assert torch.equal(resized(image, how), expected) and torch.equal(one(tree, image, size=how), expected)


def test_a_strip_keeps_a_pixel_of_its_shorter_side():
    assert resized(photograph(8, 800), Resize(32, "longest")).shape == (3, 32, 32)
    assert resized(photograph(8, 800), Resize((32, 20), "longest")).shape == (3, 32, 20)


def test_each_way_of_resizing_has_its_own_cache(tree, cache):
    """Plain ones keep the key that a number of pixels has."""
    domain = image_folder(tree({"art/ant": 3, "art/bee": 3}))["art"]
    load_images(domain, 16)
    names = [{file.name for file in (cache / "pixels").glob("*.npy")}]
    for how in (Resize(16), *RESIZES, Resize((24, 24), "squash")):
        load_images(domain, how)
        names.append({file.name for file in (cache / "pixels").glob("*.npy")})
    assert names[1] == names[0] and len(names[-1]) == len({16, *RESIZES, Resize(24, "squash")})


def test_what_is_no_file_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", tmp_path, tmp_path / "absent.png"):
        with pytest.raises(InputError, match="cannot read"):
            decode(path)


GREY = np.tile(np.array([0, 64, 128, 255]), (8, 2))
DEEP = {"tif, shares": (GREY / 255).astype(np.float32), "pfm, shares": (GREY / 255).astype(np.float32)}
DEEP |= {
    f"tif, {t} to {m}": (GREY * (m // 255)).astype(t) for t in ("float32", "int32") for m in (255, 65535)
}


@pytest.mark.parametrize("name", DEEP)
def test_deep_grey_keeps_its_tones_for_models_and_for_eyes(tree, tmp_path, name):
    file = f"x.{name[:3]}"
    assert one(tree, Image.fromarray(DEEP[name]), file, 8)[0].tolist() == GREY.tolist()
    seen = thumbnail(tmp_path / "root/art/ant" / file, 8)
    assert np.asarray(seen)[:, :, 0].tolist() == GREY.tolist()


def test_sixteen_bits_of_either_byte_order(tree):
    deep = Image.frombytes("I;16B", (8, 8), (GREY * 257).astype(">u2").tobytes())
    assert one(tree, deep, "x.tif", 8)[0].tolist() == GREY.tolist()


STRANGE = {
    f"{kind}, {name}": grey.astype(kind)
    for kind in ("float32", "int32")
    for name, grey in (("negative", GREY - 3), ("huge", GREY * 10**6))
}
STRANGE |= {f"{x}": np.where(GREY > 200, x, GREY).astype(np.float32) for x in (np.inf, np.nan)}


@pytest.mark.parametrize("name", STRANGE)
def test_grey_of_no_known_scale_is_one_line(tree, name):
    """An all-black picture would be found only by looking at it."""
    with pytest.raises(InputError, match=r"x\.tif: grey values from .* store it with 8 or 16 bits") as error:
        one(tree, Image.fromarray(STRANGE[name]), "x.tif")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("mode", "colour", "seen"), [("LA", (64, 128), 191), ("RGBA", (128, 0, 0, 128), 255)]
)
def test_premultiplied_transparency(mode, colour, seen):
    """The tag ExtraSamples of a TIFF says 1, where Pillow itself writes 2."""
    buffer, tag = BytesIO(), struct.pack("<HHI", 338, 3, 1)
    Image.new(mode, (8, 8), colour).save(buffer, "TIFF")
    content = buffer.getvalue().replace(tag + b"\2\0", tag + b"\1\0")
    assert content != buffer.getvalue()
    assert decode(BytesIO(content)).getpixel((0, 0))[0] == seen


STILL = ("gif", "tif", "jfif", "ppm", "pgm", "avif", "jp2", "ico", "tga", "qoi", "dib", "pcx", "apng")


@pytest.mark.parametrize("suffix", STILL)
def test_pictures_of_many_formats_are_read(tree, suffix):
    pixels = one(tree, Image.new("RGB", (32, 32), (240, 240, 240)), f"x.{suffix}")
    assert (pixels.int() - 240).abs().max() <= 8


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tif"])
def test_the_first_of_several_frames_is_read(tree, suffix):
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    pixels = one(tree, frames[0], f"x.{suffix}", save_all=True, append_images=frames[1:])
    assert pixels[0].min() > 240 and pixels[2].max() < 20


def test_no_other_program_is_called_for_a_picture(tree, monkeypatch):
    """EPS would be drawn by Ghostscript, whatever the file is called."""
    buffer = BytesIO()
    Image.new("RGB", (32, 32)).save(buffer, "EPS")
    with pytest.raises(UnidentifiedImageError):
        decode(buffer)


def test_too_many_pixels_are_one_line(tree, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10**6)
    with pytest.raises(InputError, match=r"x\.png: more than 2 million pixels; put a smaller copy") as error:
        one(tree, Image.new("RGB", (2000, 1001)))
    assert "\n" not in str(error.value)


def test_pixels_in_flight_are_bounded_over_all_threads(monkeypatch):
    """Each of these images takes 8 bytes a pixel, and there is room for two and a half."""
    buffer = BytesIO()
    Image.new("RGB", (50, 40)).save(buffer, "PNG")
    monkeypatch.setattr(decoder, "BUDGET", decoder.PixelBudget(int(2.5 * 8 * 50 * 40)))
    now, most, lock = [], [], threading.Lock()

    def look(_):
        with decoded(BytesIO(buffer.getvalue())) as image:
            with lock:
                now.append(image)
                most.append(len(now))
            time.sleep(0.01)
            with lock:
                now.pop()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(look, range(16)))
    assert max(most) <= 2


def test_one_that_exceeds_the_bound_is_decoded_alone_and_an_error_gives_back(monkeypatch):
    buffer = BytesIO()
    Image.new("RGB", (50, 40)).save(buffer, "PNG")
    monkeypatch.setattr(decoder, "BUDGET", decoder.PixelBudget(100))
    for _ in range(3):
        with pytest.raises(OSError, match="truncated"):
            decode(BytesIO(buffer.getvalue()[:60]))
    assert decode(BytesIO(buffer.getvalue())).size == (50, 40)
