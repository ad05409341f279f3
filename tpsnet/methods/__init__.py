"""The retrieval systems, each a module with ``stages()`` to train and ``embed()`` to use."""

from tpsnet.methods.clair import CLAIR
from tpsnet.methods.clair_config import CLAIRConfig
from tpsnet.methods.frozen import Frozen
from tpsnet.methods.tpsnet import TPSNet
from tpsnet.methods.tpsnet_config import TPSNetConfig
from tpsnet.methods.uem import UEM
from tpsnet.methods.uem_config import UEMConfig

__all__ = ["CLAIR", "UEM", "CLAIRConfig", "Frozen", "TPSNet", "TPSNetConfig", "UEMConfig"]
