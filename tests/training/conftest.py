"""What the tests of training share: the smallest method under its name, and eight images of each domain."""

import pytest
import torch
from training.smallest import Pull, PullConfig

from tpsnet.methods import METHODS, Entry
from tpsnet.types import Images


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trained artefact names its method."""
    monkeypatch.setitem(METHODS, "Pull", Entry(Pull, PullConfig, needs_clip=False))


@pytest.fixture
def pair(rng: torch.Generator) -> tuple[Images, Images]:
    pixels = torch.randint(256, (2, 8, 3, 2, 2), generator=rng, dtype=torch.uint8)
    return Images("a", pixels[0]), Images("b", pixels[1])
