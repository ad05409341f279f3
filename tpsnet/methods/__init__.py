"""The retrieval systems, each a module with ``stages()`` to train and ``embed()`` to use."""

from tpsnet.methods.frozen import Frozen
from tpsnet.methods.tpsnet import TPSNet
from tpsnet.methods.tpsnet_config import TPSNetConfig
from tpsnet.methods.uem import UEM
from tpsnet.methods.uem_config import UEMConfig

__all__ = ["UEM", "Frozen", "TPSNet", "TPSNetConfig", "UEMConfig"]
