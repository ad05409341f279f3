"""Posing a drawing: rotation, size, place, mirror and paper, all drawn from a seed."""

import hashlib
import io
import random
from dataclasses import astuple, dataclass

import numpy as np
from PIL import Image

SIZE = 96  # edge of a finished image
CANVAS = 4 * SIZE  # drawings are posed at this size, then reduced, so that strokes stay clean
FILL = 0.9  # share of the canvas that the longer side of a drawing takes at divisor 1
ROTATION = 23.0
DIVISOR = (0.95, 1.67)
SHIFT = 0.15
OVERHANG = 0.04  # how far an unturned drawing may reach beyond the edge
TINT = 0.25
WEBP = {"quality": 80, "method": 6}


@dataclass(frozen=True)
class Pose:
    """How a drawing lies on its paper.

    Attributes:
        angle: degrees, counter-clockwise.
        divisor: the drawing is this many times smaller than at full size.
        dx: shift to the right in image widths.
        dy: shift down in image heights.
        mirror: whether left and right are swapped.
        paper: RGB of the background.
    """

    angle: float
    divisor: float
    dx: float
    dy: float
    mirror: bool
    paper: tuple[int, int, int]

    def row(self) -> list:
        """The pose as a JSON list."""
        return list(astuple(self))


def draw_pose(seed: int, domain: str, name: str, number: int, may_mirror: bool = True) -> Pose:
    """The pose of one image; the same arguments always give the same pose."""
    key = hashlib.sha256(f"{seed}/{domain}/{name}/{number}".encode()).digest()
    chance = random.Random(int.from_bytes(key, "big")).random
    angle = ROTATION * (2 * chance() - 1)
    divisor = DIVISOR[0] + (DIVISOR[1] - DIVISOR[0]) * chance()
    reach = min(SHIFT, 0.5 - FILL / (2 * divisor) + OVERHANG)
    dx, dy = reach * (2 * chance() - 1), reach * (2 * chance() - 1)
    mirror = chance() < 0.5 and may_mirror
    strength = TINT * max(0.0, 2 * chance() - 1)  # half of the papers are white
    paper = tuple(round(255 * (1 - strength * chance())) for _ in range(3))
    return Pose(round(angle, 2), round(divisor, 3), round(dx, 3), round(dy, 3), mirror, paper)


def trim(rgba: np.ndarray) -> Image.Image:
    """Cut a drawing to what is visible of it.

    Raises:
        ValueError: nothing is.
    """
    rows, columns = np.nonzero(rgba[..., 3] > 8)
    if not len(rows):
        raise ValueError("the drawing is blank")
    return Image.fromarray(rgba[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1])


def pose_image(drawing: Image.Image, pose: Pose) -> Image.Image:
    """Lay a trimmed RGBA drawing on its paper: RGB, ``SIZE`` by ``SIZE``."""
    margin = 2  # a rim of paper, so that edges stay soft when turned
    sheet = Image.new("RGBA", (drawing.width + 2 * margin, drawing.height + 2 * margin), pose.paper)
    sheet.alpha_composite(drawing, (margin, margin))
    scale = FILL * CANVAS / (pose.divisor * max(drawing.size))
    turn = np.deg2rad(pose.angle)
    # From a point of the canvas back to a point of the sheet.
    back = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) / scale
    if pose.mirror:
        back[0] *= -1
    centre = CANVAS * (0.5 + np.array([pose.dx, pose.dy]))
    offset = np.array(sheet.size) / 2 - back @ centre
    matrix = (*back[0], offset[0], *back[1], offset[1])
    posed = sheet.convert("RGB").transform(
        (CANVAS, CANVAS), Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC, fillcolor=pose.paper
    )
    return posed.resize((SIZE, SIZE), Image.Resampling.LANCZOS)


def webp(image: Image.Image) -> bytes:
    """The image as a WebP file."""
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", **WEBP)
    return buffer.getvalue()
