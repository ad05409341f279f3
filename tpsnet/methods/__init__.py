"""The retrieval systems, each a module with ``stages()`` to train and ``embed()`` to use."""

from tpsnet.methods.frozen import Frozen
from tpsnet.methods.tpsnet import TPSNet
from tpsnet.methods.tpsnet_config import TPSNetConfig

__all__ = ["Frozen", "TPSNet", "TPSNetConfig"]
