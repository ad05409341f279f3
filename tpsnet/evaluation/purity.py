"""How far clusters are classes; this needs labels, which training does not see."""

import torch
from jaxtyping import Bool, Int
from torch import Tensor


def of_majority(clusters: Int[Tensor, " n"], labels: Int[Tensor, " n"]) -> Bool[Tensor, " n"]:
    """Whether an image's class is the most frequent one of its cluster; of equal ones the first counts.

    Args:
        clusters: Cluster of each image, counted from 0.
        labels: Class of each image, counted from 0.
    """
    size = int(labels.max()) + 1
    counts = torch.bincount(clusters * size + labels, minlength=(int(clusters.max()) + 1) * size)
    return counts.view(-1, size).argmax(dim=1)[clusters] == labels


def purity(clusters: Int[Tensor, " n"], labels: Int[Tensor, " n"]) -> float:
    """Share of the images that are of their cluster's majority, in [0, 1]; see ``of_majority``."""
    return of_majority(clusters, labels).double().mean().item()
