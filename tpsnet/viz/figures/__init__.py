"""Plotly figures of every step. All draw in a reopened, untrusted notebook.

Only SVG traces are used, so that a browser without WebGL shows them too. What a figure needs it receives
as tensors; a function of the image side (phase, amplitude swap) is passed in as an argument.
"""

from tpsnet.viz.figures.bars import ablation_bars, comparison_bars, precision_bars
from tpsnet.viz.figures.curves import training_curves
from tpsnet.viz.figures.embedding import embedding_maps
from tpsnet.viz.figures.images import image_grid, to_uint8
from tpsnet.viz.figures.phase import amplitude_slider, similarity_boxes
from tpsnet.viz.figures.prompts import nearest_words, prompt_similarity, repairing_by_confidence
from tpsnet.viz.figures.ranking import class_changes
from tpsnet.viz.figures.universal import elbow_curves, prototype_map, rejection_distances
from tpsnet.viz.figures.zero_shot import text_map_arrows

__all__ = [
    "ablation_bars",
    "amplitude_slider",
    "class_changes",
    "comparison_bars",
    "elbow_curves",
    "embedding_maps",
    "image_grid",
    "nearest_words",
    "precision_bars",
    "prompt_similarity",
    "prototype_map",
    "rejection_distances",
    "repairing_by_confidence",
    "similarity_boxes",
    "text_map_arrows",
    "to_uint8",
    "training_curves",
]
