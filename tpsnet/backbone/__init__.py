"""CLIP as L2-normalised vectors and tokens, learnable prompts, phase and other views; UEM's own ResNet-50."""

from tpsnet.backbone.captions import captions, class_texts
from tpsnet.backbone.clip import Backbone
from tpsnet.backbone.embed import autocast, embed_all, embed_with_flip
from tpsnet.backbone.keep import keep_weights
from tpsnet.backbone.load import EMBEDDED, is_address, load_backbone
from tpsnet.backbone.moco import MoCo, load_moco
from tpsnet.backbone.phase import PhaseEncoder, phase_drawing, phase_image, swap_amplitude, to_grey
from tpsnet.backbone.prompts import DomainPrompts, NamePrompt, check_context
from tpsnet.backbone.tower import LayerRates, TowerConfig, layer_groups, layers, lock, running
from tpsnet.backbone.views import VIEWS, figure_ground, view_vectors

__all__ = [
    "EMBEDDED",
    "VIEWS",
    "Backbone",
    "DomainPrompts",
    "LayerRates",
    "MoCo",
    "NamePrompt",
    "PhaseEncoder",
    "TowerConfig",
    "autocast",
    "captions",
    "check_context",
    "class_texts",
    "embed_all",
    "embed_with_flip",
    "figure_ground",
    "is_address",
    "keep_weights",
    "layer_groups",
    "layers",
    "load_backbone",
    "load_moco",
    "lock",
    "phase_drawing",
    "phase_image",
    "running",
    "swap_amplitude",
    "to_grey",
    "view_vectors",
]
