"""A cache of its own for every test, and trees of small random images."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tpsnet.data import blocks as blocks_module
from tpsnet.data import cache as cache_module


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TPSNET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def tree(tmp_path: Path) -> Callable[[Mapping[str, int]], Path]:
    """``tree({"line/dog": 3})`` writes three images there and returns the root."""

    def write(classes: Mapping[str, int]) -> Path:
        noise = np.random.default_rng(0)
        for folder, n in classes.items():
            (tmp_path / "root" / folder).mkdir(parents=True)
            for i in range(n):
                pixels = noise.integers(0, 256, (20, 24, 3), np.uint8)
                Image.fromarray(pixels).save(tmp_path / "root" / folder / f"{i:03}.png")
        return tmp_path / "root"

    return write


@pytest.fixture
def count_decoded(monkeypatch, tmp_path):
    """Names of the images that are decoded."""
    found, decoded = [], cache_module.decoded

    def counted(content):
        files = (tmp_path / "root").rglob("*.png")
        found.append(next(f.name for f in files if f.open("rb").read() == content.getvalue()))
        return decoded(content)

    monkeypatch.setattr(cache_module, "decoded", counted)
    return found


@pytest.fixture
def blocks(monkeypatch):
    """Blocks of two images: a domain of six has three of them."""
    monkeypatch.setattr(blocks_module, "BLOCK", 2)
