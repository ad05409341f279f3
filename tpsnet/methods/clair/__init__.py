"""CLAIR: CLIP-aided, weakly supervised zero-shot retrieval across domains (BMVC 2025)."""

from tpsnet.methods.clair.config import CLAIRConfig
from tpsnet.methods.clair.method import CLAIR

__all__ = ["CLAIR", "CLAIRConfig"]
