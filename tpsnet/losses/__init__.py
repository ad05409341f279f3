"""Training losses: pure functions of tensors, each with its formula, source and what we do differently."""

from tpsnet.losses.prompt import image_to_text, repair_labels, text_to_image
from tpsnet.losses.prototype import prototype_contrast

__all__ = ["image_to_text", "prototype_contrast", "repair_labels", "text_to_image"]
