"""What stands in for labels: clusters, prototypes, memories, neighbours and maps across the domains."""

from tpsnet.targets.elbow import Elbow, elbow, grid
from tpsnet.targets.kmeans import KMeans, kmeans
from tpsnet.targets.memory import remember
from tpsnet.targets.neighbours import Matches, discrepancy, expand, match
from tpsnet.targets.private import Verdict, reject_distant, reject_unmerged
from tpsnet.targets.prototypes import class_means, momentum_update
from tpsnet.targets.text_labels import TextLabels, refine, text_votes
from tpsnet.targets.text_map import apply_map, procrustes_map, ridge_map
from tpsnet.targets.unified import Merge, Unified, matches, translate, unify

__all__ = [
    "Elbow",
    "KMeans",
    "Matches",
    "Merge",
    "TextLabels",
    "Unified",
    "Verdict",
    "apply_map",
    "class_means",
    "discrepancy",
    "elbow",
    "expand",
    "grid",
    "kmeans",
    "match",
    "matches",
    "momentum_update",
    "procrustes_map",
    "refine",
    "reject_distant",
    "reject_unmerged",
    "remember",
    "ridge_map",
    "text_votes",
    "translate",
    "unify",
]
