"""Training losses: pure functions of tensors, each with its formula, source and what we do differently."""

from tpsnet.losses.alignment import domain_adversary, reverse_gradient, structure_preservation
from tpsnet.losses.instance import instance_contrast
from tpsnet.losses.matching import nearest_neighbour_contrast, switchable_matching
from tpsnet.losses.neighbour import neighbour_contrast
from tpsnet.losses.prompt import image_to_text, repair_labels, text_to_image
from tpsnet.losses.prototype import prototype_contrast
from tpsnet.losses.semantic import semantic_enhancement
from tpsnet.losses.supervised import inter_domain, inter_instance

__all__ = [
    "domain_adversary",
    "image_to_text",
    "instance_contrast",
    "inter_domain",
    "inter_instance",
    "nearest_neighbour_contrast",
    "neighbour_contrast",
    "prototype_contrast",
    "repair_labels",
    "reverse_gradient",
    "semantic_enhancement",
    "structure_preservation",
    "switchable_matching",
    "text_to_image",
]
