"""What the tests of methods share: backbones that nothing changes, and two domains of 24 and 20 images."""

from collections.abc import Iterator

import pytest
import torch
from pictures import patterned
from torch import nn

from tpsnet.backbone import Backbone, MoCo, load_backbone, views
from tpsnet.types import Images


@pytest.fixture(scope="session")
def pair() -> tuple[Images, Images]:
    rng = torch.Generator().manual_seed(0)
    return patterned("line", rng)[0], patterned("shaded", rng, n=20)[0]


@pytest.fixture
def nothing_kept(monkeypatch) -> None:
    """Views are encoded anew."""
    monkeypatch.setattr(views, "_kept", type(views._kept)())


@pytest.fixture(scope="session")
def backbone(small_clip) -> Backbone:
    """A small CLIP; every method copies what it trains."""
    return load_backbone(small_clip)


@pytest.fixture(scope="session")
def moco() -> MoCo:
    """A narrow stand-in with MoCo's interface: the loader itself is tested on a full file."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        tower = nn.Sequential()
        convolution = nn.Conv2d(3, 8, 3, 4)
        tower.features = nn.Sequential(convolution, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        tower.fc = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 6))
    return MoCo(tower)


@pytest.fixture(scope="module")
def exact() -> Iterator[None]:
    """No bfloat16, also where the processor has it: its rounding would hide small differences."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cpu, "get_capabilities", dict)
        yield
