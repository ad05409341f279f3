"""TPSNet: text-phase synergy with dual priors (CVPR 2026)."""

from tpsnet.methods.tpsnet.config import TPSNetConfig
from tpsnet.methods.tpsnet.method import TPSNet

__all__ = ["TPSNet", "TPSNetConfig"]
