"""The config of UEM as the paper reads, apart from what it configures."""

from dataclasses import dataclass

from tpsnet.methods.uem.config import UnifyingConfig


@dataclass(frozen=True, kw_only=True)
class UEMPrintedConfig(UnifyingConfig):
    """Config of UEM as the paper reads: what both forms share.

    Stage 2 is the one that gains: mAP is higher with 4 and 8 epochs than with 8 and 4 (seen with labels, on
    40 classes of three embedded pairs).
    """
