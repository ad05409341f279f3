"""TPSNet: a text prior and a phase prior on frozen views, each with a linear map."""

from tpsnet.methods.tpsnet.config import TPSNetConfig
from tpsnet.methods.tpsnet.method import TPSNet

__all__ = ["TPSNet", "TPSNetConfig"]
