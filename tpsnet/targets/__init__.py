"""What stands in for labels: clusters, prototypes, memory banks, neighbours and maps across the domains."""

from tpsnet.targets.agreement import side_by_side, view_reliabilities, view_weights
from tpsnet.targets.diffused import diffused, neighbours_in
from tpsnet.targets.elbow import Elbow, elbow, elbow_grid
from tpsnet.targets.gap import paired_centres
from tpsnet.targets.kmeans import KMeans, kmeans
from tpsnet.targets.memory import update_memory_bank
from tpsnet.targets.neighbours import NearestAcross, discrepancy, nearest_across
from tpsnet.targets.prototypes import class_means, momentum_update
from tpsnet.targets.rejection import Rejection, reject_unmerged, reject_unreturned, return_distance
from tpsnet.targets.text_labels import TextLabels, refine_pseudo_labels, text_votes
from tpsnet.targets.text_map import apply_map, procrustes_map, ridge_map
from tpsnet.targets.unified import Merge, Unified, merge_pairs, translate, unify_prototypes

__all__ = [
    "Elbow",
    "KMeans",
    "Merge",
    "NearestAcross",
    "Rejection",
    "TextLabels",
    "Unified",
    "apply_map",
    "class_means",
    "diffused",
    "discrepancy",
    "elbow",
    "elbow_grid",
    "kmeans",
    "merge_pairs",
    "momentum_update",
    "nearest_across",
    "neighbours_in",
    "paired_centres",
    "procrustes_map",
    "refine_pseudo_labels",
    "reject_unmerged",
    "reject_unreturned",
    "return_distance",
    "ridge_map",
    "side_by_side",
    "text_votes",
    "translate",
    "unify_prototypes",
    "update_memory_bank",
    "view_reliabilities",
    "view_weights",
]
