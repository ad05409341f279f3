"""How much the outlines of two drawings agree: finds twins that a table of families overlooks."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from PIL import Image, ImageFilter

from tools.assets.drawings import Drawing, render
from tools.assets.poses import trim

GRID = 48
# Above this, two drawings are redrawings of each other; plain shapes (a pill, an envelope) reach .88.
TWIN = 0.9


def outline(rgba: np.ndarray) -> np.ndarray:
    """The strength of colour edges of a trimmed drawing on white, stretched to a square, as a unit vector."""
    drawing = trim(rgba)
    paper = Image.new("RGBA", drawing.size, "white")
    paper.alpha_composite(drawing)
    small = np.asarray(paper.convert("RGB").resize((GRID, GRID), Image.Resampling.BOX)).astype(float)
    down = np.abs(np.diff(small, axis=0, append=255)).max(axis=-1)
    right = np.abs(np.diff(small, axis=1, append=255)).max(axis=-1)
    # Capped, so that a red line on white weighs no more than a black one.
    strength = np.minimum(np.hypot(down, right), 120).astype(np.uint8)
    soft = np.asarray(Image.fromarray(strength).filter(ImageFilter.GaussianBlur(0.8))).astype(float)
    soft -= soft.mean()
    return (soft / max(np.linalg.norm(soft), 1e-9)).ravel()


def likeness(first: np.ndarray, second: np.ndarray) -> float:
    """Correlation of two drawings' outlines, the better of plain and mirrored; 1 for the same outlines."""
    one = outline(first)
    return float(max(one @ outline(second), one @ outline(second[:, ::-1])))


def twins(hands: Mapping[str, Mapping[str, Sequence[Drawing]]]) -> list[tuple[float, Drawing, Drawing]]:
    """Pairs of drawings of one class in two domains that are more alike than ``TWIN``."""
    found = []
    for name in next(iter(hands.values())):
        drawn = [(domain, d, render(d, 2 * GRID)) for domain in hands for d in hands[domain][name]]
        for (domain_a, a, pixels_a), (domain_b, b, pixels_b) in combinations(drawn, 2):
            if domain_a != domain_b and (like := likeness(pixels_a, pixels_b)) > TWIN:
                found.append((like, a, b))
    return found
