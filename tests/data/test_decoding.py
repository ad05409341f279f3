"""What becomes of an image: size, paper, colours, orientation; and the shapes that are refused."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from tpsnet.data import image_folder, load_images
from tpsnet.errors import InputError


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
