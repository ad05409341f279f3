"""What stands in for labels: clusters, prototypes, memories and neighbours across the domains."""

from tpsnet.targets.elbow import Elbow, elbow
from tpsnet.targets.kmeans import KMeans, kmeans
from tpsnet.targets.memory import remember
from tpsnet.targets.neighbours import Matches, discrepancy, match
from tpsnet.targets.prototypes import class_means, momentum_update
from tpsnet.targets.unified import Unified, matches, translate, unify

__all__ = [
    "Elbow",
    "KMeans",
    "Matches",
    "Unified",
    "class_means",
    "discrepancy",
    "elbow",
    "kmeans",
    "match",
    "matches",
    "momentum_update",
    "remember",
    "translate",
    "unify",
]
