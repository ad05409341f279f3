r"""Open-set detection: which queries have no match in the gallery, found without a label.

There are two rules. The one that UEM prints clusters both domains, unifies the clusters, and lets a query
pass if its nearest prototype is a merged one (c) and its nearest gallery image is not farther than any two
images of that pair of clusters are:

.. math:: \min_j \delta(x_i, y_j) \le \max_{x \in c,\, y \in c} \delta(x, y)

A query whose nearest prototype is its own cluster's is itself among the x of the maximum, and so passes; only
the others can be too far away. It is the merging that decides nearly all.

The other rule goes to the gallery and back: from a query i to its k nearest gallery images, and from each of
these to its k + 1 nearest queries j. With :math:`\rho_{ij}` the place of j among the neighbours of i in its
own domain, 1 for the nearest and 0 for i itself:

.. math:: d_i = \frac{\mathrm{mean}_j \log(1 + \rho_{ij})}{\log(1 + n)}

A query with a match comes back to where it started, another one to queries that are unlike it. The gallery's
images go the same way through the queries; a query is rejected if it comes back farther from itself than
:math:`\beta` of them do. Only places in rankings count, so the rule needs no number of classes, and means the
same for many small classes and for few large ones. Where a method has clusters c, they can have half of the
say, :math:`(d_i + \mathrm{mean}_{j \in c(i)} d_j) / 2`. Where most of the gallery has no query of its class,
hardly anything is rejected.

Source: UEM (NeurIPS 2024, arXiv:2403.05690), App. B.1, eqs. 25–27, for the first rule. INFERRED there: the
nearest prototype is taken among all rows of the unified set. The second rule is ours, after k-reciprocal
neighbours (Qin et al., CVPR 2011); k, β and the say of clusters were chosen with an eye on the labels of line
↔ shaded, shaded ↔ flat and flat ↔ solid.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from tpsnet.errors import InputError
from tpsnet.neighbours import nearest
from tpsnet.targets.kmeans import kmeans
from tpsnet.targets.neighbours import discrepancy
from tpsnet.targets.prototypes import class_sums
from tpsnet.targets.unified import Merge, translate, unify_prototypes

CHUNK = 256  # queries whose own neighbours are ordered at once


@dataclass(frozen=True, eq=False)
class Rejection:
    """What a rule says of every query.

    Attributes:
        rejected: Whether the query is rejected as one without a match.
        distance: How far a query is from a match, in the rule's own measure.
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
    """Reject queries by the rule that UEM prints.

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
    row = torch.cdist(query, unified.prototypes).argmin(dim=1)
    return _rejection(apart.amin(dim=1), limit[row])


def reject_unreturned(
    query: Float[Tensor, "query dim"],
    gallery: Float[Tensor, "gallery dim"],
    clusters: tuple[int, int] | None = None,
    *,
    seed: int = 0,
    neighbours: int = 5,
    level: float = 0.8,
) -> Rejection:
    """Reject queries by the way to the gallery and back.

    Args:
        query: Embeddings of the queries as L2-normalised rows.
        gallery: Embeddings of the gallery as L2-normalised rows.
        clusters: Numbers of clusters of the queries and of the gallery, if clusters have a say: the distance
            of an image is then the mean of its own and of its cluster's mean.
        seed: Seed of k-means.
        neighbours: Number k of images on the way there; fewer where there are fewer.
        level: Share β of the gallery's images that return at most as far as a query that passes.

    Raises:
        InputError: There is no query, or no gallery.
    """
    if not (len(query) and len(gallery)):
        raise InputError(f"a rejection of {len(query)} queries by {len(gallery)} gallery images; give some")
    distance = return_distance(query, gallery, neighbours)
    of_gallery = return_distance(gallery, query, neighbours)
    if clusters is not None:
        distance = _with_cluster(distance, query, clusters[0], seed)
        of_gallery = _with_cluster(of_gallery, gallery, clusters[1], seed)
    return _rejection(distance, torch.quantile(of_gallery, level).expand_as(distance))


def _with_cluster(
    distance: Float[Tensor, " n"], rows: Float[Tensor, "n dim"], k: int, seed: int
) -> Float[Tensor, " n"]:
    """The mean of each row's distance and of the mean over its cluster; fewer clusters for fewer rows."""
    k = min(k, len(rows))
    assignment = kmeans(rows, k, seed=seed, restarts=1).assignment
    sums, counts = class_sums(distance[:, None], assignment, k)
    return (distance + (sums / counts.clamp_min(1)[:, None].to(sums.dtype))[assignment, 0]) / 2


@torch.no_grad()
def return_distance(
    rows: Float[Tensor, "n dim"], others: Float[Tensor, "m dim"], k: int
) -> Float[Tensor, " n"]:
    """How far each row comes back from itself after a visit to the other domain, d in [0, 1].

    Args:
        rows: L2-normalised rows of one domain.
        others: L2-normalised rows of the other one.
        k: Number of images on the way there; fewer where there are fewer.
    """
    there, _ = nearest(rows, others, min(k, len(others)))
    back, _ = nearest(others, rows, min(k + 1, len(rows)))
    place = torch.arange(len(rows), device=rows.device)
    found = []
    for own, near in zip(place.split(CHUNK), there.split(CHUNK), strict=True):
        reached = back[near].flatten(1)
        places = _places(rows[own] @ rows.T, own, reached)
        found.append(torch.log1p(places.to(rows.dtype)).mean(dim=1))
    return torch.cat(found) / torch.log(torch.tensor(1.0 + len(rows)))


def _places(
    cosine: Float[Tensor, "some n"], own: Int[Tensor, " some"], reached: Int[Tensor, "some r"]
) -> Int[Tensor, "some r"]:
    """Place of each reached row among the neighbours of a row: 1 for the nearest, 0 for the row itself."""
    scores = cosine.gather(1, reached)
    cosine.scatter_(1, own[:, None], -torch.inf)
    above = cosine.shape[1] - torch.searchsorted(cosine.sort(dim=1).values, scores, right=True)
    return torch.where(reached == own[:, None], 0, above + 1)


def _rejection(distance: Tensor, threshold: Tensor) -> Rejection:
    return Rejection(distance > threshold, distance, threshold)
