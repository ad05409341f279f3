"""The retrieval systems, each a module with ``stages()`` to train and ``embed()`` to use."""

from tpsnet.methods.frozen import Frozen
from tpsnet.methods.tpsnet import TPSNet, TPSNetConfig

__all__ = ["Frozen", "TPSNet", "TPSNetConfig"]
