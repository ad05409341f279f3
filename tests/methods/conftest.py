"""What the tests of methods share: a small CLIP, and two domains of patterns, 24 and 20 pictures."""

import pytest
from pictures import patterned

from tpsnet.backbone import Backbone, load_backbone
from tpsnet.types import Images


@pytest.fixture
def pair(rng) -> tuple[Images, Images]:
    return patterned("line", rng)[0], patterned("shaded", rng, n=20)[0]


@pytest.fixture
def backbone(small_clip) -> Backbone:
    return load_backbone(small_clip)
