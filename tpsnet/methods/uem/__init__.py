"""UEM: unified, enhanced, matched (NeurIPS 2024), on frozen views."""

from tpsnet.methods.uem.config import UEMConfig
from tpsnet.methods.uem.method import UEM

__all__ = ["UEM", "UEMConfig"]
