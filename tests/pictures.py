"""Small images: folders for tests that go through the disk, and decoded ones for those that train."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from tpsnet.types import Images

CLASSES = 4  # of ``patterned``


def write_tree(root: Path, classes: Mapping[str, Sequence[str]], each: int = 5, side: int = 32) -> Path:
    """Noisy images of one colour pattern a class, in ``root/domain/class``; returns ``root``."""
    for d, (domain, names) in enumerate(sorted(classes.items())):
        for name in names:
            pattern = np.random.default_rng(sum(map(ord, name))).integers(0, 200, (4, 4, 3))
            noise = np.random.default_rng([d, sum(map(ord, name))])
            folder = root / domain / name
            folder.mkdir(parents=True)
            for i in range(each):
                pixels = np.kron(pattern, np.ones((side // 4, side // 4, 1)))
                pixels = (pixels + 20 * d + noise.integers(0, 40, pixels.shape)).clip(0, 255)
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{i}.png")
    return root


def patterned(name: str, rng: torch.Generator, n: int = 24, side: int = 32) -> tuple[Images, torch.Tensor]:
    """Noisy images of four coloured patterns, so that there is something to cluster."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        patterns = torch.rand(CLASSES, 3, 4, 4)
    labels = torch.arange(n) % CLASSES
    noise = 0.1 * torch.rand(n, 3, side, side, generator=rng)
    large = torch.nn.functional.interpolate(patterns, size=side)[labels]
    return Images(name, (255 * (0.9 * large + noise)).byte()), labels
