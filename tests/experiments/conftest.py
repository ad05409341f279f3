"""What the tests of experiments share: short variants, small depths, a small pair."""

import pytest

from tpsnet.backbone import Backbone, load_backbone
from tpsnet.data import Pair, load_pair
from tpsnet.experiments import BASELINES, Closed, Protocol, Universal, Variant, ZeroShot
from tpsnet.methods import CLAIRConfig, TPSNetConfig, UEMConfig

CLASSES = ("ant", "bee", "cat")
SHORT = BASELINES | {
    "TPSNet": Variant("TPSNet", "TPSNet", TPSNetConfig(epochs=2, prompt_epochs=2, prompt_warmup=1)),
    "UEM": Variant("UEM", "UEM", UEMConfig(idse_epochs=2, cdsm_epochs=2)),
    "CLAIR": Variant("CLAIR", "CLAIR", CLAIRConfig(epochs=1, text_epochs=1)),
}
PROTOCOLS: dict[str, Protocol] = {
    "closed": Closed(ks=(1, 5)),
    "partial": Universal(spaces="partial", ks=(1, 5)),
    "open": Universal(spaces="open", ks=(1, 5)),
    "zero-shot": ZeroShot(unseen=("bee",), ks=(2, 5)),
}


@pytest.fixture
def short() -> dict[str, Variant]:
    return SHORT


@pytest.fixture
def protocols() -> dict[str, Protocol]:
    return PROTOCOLS


@pytest.fixture
def backbone(small_clip) -> Backbone:
    return load_backbone(small_clip)


@pytest.fixture
def pair(root, backbone) -> Pair:
    return load_pair(root, ("flat", "line"), backbone.resize)
