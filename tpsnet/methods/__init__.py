"""The retrieval systems and ``METHODS``, the one mapping from a name to a class and its config."""

from dataclasses import dataclass

from tpsnet.methods.base import Method, Stage
from tpsnet.methods.clair import CLAIR, CLAIRConfig
from tpsnet.methods.embed import embeddings, with_rejections
from tpsnet.methods.frozen import Frozen, FrozenConfig
from tpsnet.methods.tpsnet import TPSNet, TPSNetConfig
from tpsnet.methods.tpsnet_printed import TPSNetPrinted, TPSNetPrintedConfig
from tpsnet.methods.uem import UEM, UEMConfig
from tpsnet.methods.uem_printed import UEMPrinted, UEMPrintedConfig


@dataclass(frozen=True)
class Entry:
    """A method by its name.

    Attributes:
        method: The class, made from a backbone and a config.
        config: The dataclass of its config.
        needs_clip: Whether the backbone must have texts.
    """

    method: type[Method]
    config: type
    needs_clip: bool


METHODS: dict[str, Entry] = {
    "TPSNet": Entry(TPSNet, TPSNetConfig, needs_clip=True),
    "TPSNetPrinted": Entry(TPSNetPrinted, TPSNetPrintedConfig, needs_clip=True),
    "UEM": Entry(UEM, UEMConfig, needs_clip=False),
    "UEMPrinted": Entry(UEMPrinted, UEMPrintedConfig, needs_clip=False),
    "CLAIR": Entry(CLAIR, CLAIRConfig, needs_clip=True),
    "Frozen": Entry(Frozen, FrozenConfig, needs_clip=False),
}

__all__ = [
    "CLAIR",
    "METHODS",
    "UEM",
    "CLAIRConfig",
    "Entry",
    "Frozen",
    "FrozenConfig",
    "Method",
    "Stage",
    "TPSNet",
    "TPSNetConfig",
    "TPSNetPrinted",
    "TPSNetPrintedConfig",
    "UEMConfig",
    "UEMPrinted",
    "UEMPrintedConfig",
    "embeddings",
    "with_rejections",
]
