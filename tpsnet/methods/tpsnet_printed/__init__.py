"""TPSNet as printed: CLIP fine-tuned on prototypes and prompts, with phase as a token (CVPR 2026)."""

from tpsnet.methods.tpsnet_printed.config import TPSNetPrintedConfig
from tpsnet.methods.tpsnet_printed.method import TPSNetPrinted

__all__ = ["TPSNetPrinted", "TPSNetPrintedConfig"]
