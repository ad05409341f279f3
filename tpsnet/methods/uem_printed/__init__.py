"""UEM as the paper reads (NeurIPS 2024): a fine-tuned tower, and rejection by merged prototypes."""

from tpsnet.methods.uem_printed.config import UEMPrintedConfig
from tpsnet.methods.uem_printed.method import UEMPrinted

__all__ = ["UEMPrinted", "UEMPrintedConfig"]
