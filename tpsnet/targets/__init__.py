"""What stands in for labels: clusters, and one prototype a class."""

from tpsnet.targets.kmeans import KMeans, kmeans
from tpsnet.targets.prototypes import class_means, momentum_update

__all__ = ["KMeans", "class_means", "kmeans", "momentum_update"]
