r"""Open-set detection: which queries have no match in the gallery, found without a label.

There are two rules. UEM's rule clusters both domains, unifies the clusters, and lets a query pass if its
nearest prototype is a merged one (c) and its nearest gallery image is not farther than any two images of that
pair of clusters are:

.. math:: \min_j \delta(x_i, y_j) \le \max_{x \in c,\, y \in c} \delta(x, y)

A query whose nearest prototype is its own cluster's is itself among the x of the maximum, and so passes; only
the others can be too far away. It is the merging that decides nearly all.

The rule for methods without such a structure clusters the queries alone, and compares the distance to the
nearest gallery image with the largest distance inside the query's own cluster.

Source: UEM (NeurIPS 2024, arXiv:2403.05690), App. B.1, eqs. 25–27. INFERRED: the nearest prototype is taken
among all rows of the unified set; the other methods' own metric is 1 − cosine.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from tpsnet.targets.kmeans import kmeans
from tpsnet.targets.neighbours import discrepancy
from tpsnet.targets.unified import Merge, translate, unify_prototypes


@dataclass(frozen=True, eq=False)
class Rejection:
    """What a rule says of every query.

    Attributes:
        rejected: Whether the query is rejected as one without a match.
        distance: Distance to the nearest gallery image.
        threshold: Largest distance that passes; −∞ where the cluster alone decides.
    """

    rejected: Bool[Tensor, " query"]
    distance: Float[Tensor, " query"]
    threshold: Float[Tensor, " query"]


def reject_unmerged(
    query: Float[Tensor, "query dim"],
    gallery: Float[Tensor, "gallery dim"],
    clusters: tuple[int, int],
    *,
    seed: int,
    merge: Merge = "local",
) -> Rejection:
    """Reject queries by UEM's rule.

    Args:
        query: Embeddings of the queries as L2-normalised rows.
        gallery: Embeddings of the gallery as L2-normalised rows.
        clusters: Numbers of clusters of the queries and of the gallery.
        seed: Seed of k-means.
        merge: Rule by which clusters merge, see ``merge_pairs``.

    Raises:
        InputError: There are more clusters than rows.
    """
    asked, found = kmeans(query, clusters[0], seed=seed), kmeans(gallery, clusters[1], seed=seed)
    moved = translate(found.centres, gallery, query)
    unified = unify_prototypes(asked.centres, moved, merge)
    apart = discrepancy(query, gallery)
    limit = query.new_full((len(unified.prototypes),), -torch.inf)
    for cluster, row in enumerate(unified.other.tolist()):
        images = apart[asked.assignment == row][:, found.assignment == cluster]
        if unified.merged[row] and images.numel():  # a merged row has the query cluster's number
            limit[row] = images.max()
    nearest = torch.cdist(query, unified.prototypes).argmin(dim=1)
    return _rejection(apart.amin(dim=1), limit[nearest])


def reject_distant(
    query: Float[Tensor, "query dim"], gallery: Float[Tensor, "gallery dim"], clusters: int, *, seed: int
) -> Rejection:
    """Reject queries by the rule for the other methods.

    Args:
        query: Embeddings of the queries as L2-normalised rows.
        gallery: Embeddings of the gallery as L2-normalised rows.
        clusters: Number of clusters of the queries.
        seed: Seed of k-means.

    Raises:
        InputError: There are more clusters than queries.
    """
    assignment = kmeans(query, clusters, seed=seed).assignment
    apart = 1 - query @ query.T
    limit = query.new_zeros(clusters)
    for c in assignment.unique().tolist():
        members = assignment == c
        limit[c] = apart[members][:, members].max()
    return _rejection((1 - query @ gallery.T).amin(dim=1), limit[assignment])


def _rejection(distance: Tensor, threshold: Tensor) -> Rejection:
    return Rejection(distance > threshold, distance, threshold)
