"""The config of UEM as the paper reads, apart from what it configures."""

from dataclasses import dataclass, field

from tpsnet.backbone import LayerRates
from tpsnet.methods.uem.config import UnifyingConfig


@dataclass(frozen=True, kw_only=True)
class UEMPrintedConfig(UnifyingConfig):
    """Config of UEM as the paper reads: what both forms share.

    Stage 2 is the one that gains: mAP is higher with 4 and 8 epochs than with 8 and 4 (seen with labels, on
    40 classes of three embedded pairs).

    Attributes:
        layers: How fast each layer of the image tower learns.
    """

    layers: LayerRates = field(default_factory=LayerRates)
