"""CLIP as unit vectors and tokens, learnable prompts, and the phase of an image."""

from tpsnet.backbone.clip import Backbone, embedded_clip, load_backbone
from tpsnet.backbone.embed import autocast, embed_all
from tpsnet.backbone.phase import PhaseEncoder, phase_image, swap_amplitude, to_grey
from tpsnet.backbone.prompts import DomainPrompts

__all__ = [
    "Backbone",
    "DomainPrompts",
    "PhaseEncoder",
    "autocast",
    "embed_all",
    "embedded_clip",
    "load_backbone",
    "phase_image",
    "swap_amplitude",
    "to_grey",
]
