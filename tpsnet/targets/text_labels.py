r"""Pseudo-labels from class names, and their refinement by confidence and by agreement inside a cluster.

.. math::
    q_{iy} = \mathrm{softmax}_y(\langle v_i, t_y\rangle / \tau), \qquad
    r_i = \frac{q_i + \lambda\,\bar q_{c(i)}}{1 + \lambda}, \qquad
    \tilde y_i = \arg\max_y r_{iy}, \quad w_i = \max_y r_{iy}

with :math:`\bar q_c` the mean of q over cluster c. A label is *doubted*, and its weight multiplied by
``doubt``, when its w lies below the η-quantile of its class; of the others it is *kept* where it is what the
text said, and *corrected* where the cluster overruled the text.

Source: CLAIR (BMVC 2025, arXiv:2508.12290) refines CLIP's pseudo-labels by a confidence from the similarity
of text and image. INFERRED: everything else here, the clusters' vote, the quantile and the weights.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from tpsnet.errors import InputError
from tpsnet.targets.prototypes import class_sums


@dataclass(frozen=True, eq=False)
class TextLabels:
    """Refined pseudo-labels of one domain. Each image is kept, corrected or doubted.

    Attributes:
        labels: Class of each image, as a row of the texts.
        confidence: Weight of each image in the losses, in [0, 1].
        kept: Whether the label is what the text said, confidently.
        corrected: Whether the label is what the cluster said against the text, confidently.
        doubted: Whether the confidence is low within the class.
    """

    labels: Int[Tensor, " n"]
    confidence: Float[Tensor, " n"]
    kept: Bool[Tensor, " n"]
    corrected: Bool[Tensor, " n"]
    doubted: Bool[Tensor, " n"]


def text_votes(
    images: Float[Tensor, "n dim"], texts: Float[Tensor, "classes dim"], temperature: float
) -> Float[Tensor, "n classes"]:
    """The softmax q over class names.

    Args:
        images: Image embeddings of a frozen CLIP as L2-normalised rows.
        texts: One L2-normalised row per class, e.g. the mean over an ensemble of templates.
        temperature: Softmax temperature τ; must be positive. CLIP's own is 0.01.

    Raises:
        InputError: There is no class name.
    """
    if not len(texts):
        raise InputError(
            "pseudo-labels from an empty list of class names; give the names of the seen classes"
        )
    return (images @ texts.T / temperature).softmax(dim=1)


def refine_pseudo_labels(
    votes: Float[Tensor, "n classes"],
    clusters: Int[Tensor, " n"],
    *,
    agreement: float,
    quantile: float,
    doubt: float,
) -> TextLabels:
    r"""Let the clusters vote with the texts, and weigh each image by what comes out.

    Args:
        votes: The votes q of the texts, as rows that sum to one.
        clusters: Cluster of each image, counted from 0.
        agreement: Weight :math:`\lambda` of the cluster's mean vote; 0 trusts the text alone.
        quantile: Share η of each class that is doubted, in [0, 1); 0 doubts no image.
        doubt: Factor on a doubted image's weight, in [0, 1].
    """
    sums, counts = class_sums(votes, clusters, int(clusters.max()) + 1)
    mean = sums / counts.clamp_min(1)[:, None].to(votes.dtype)
    confidence, labels = ((votes + agreement * mean[clusters]) / (1 + agreement)).max(dim=1)
    doubted = torch.zeros_like(labels, dtype=torch.bool)
    for y in labels.unique():
        members = labels == y
        doubted |= members & (confidence < confidence[members].quantile(quantile))
    same = labels == votes.argmax(dim=1)
    weight = torch.where(doubted, doubt * confidence, confidence)
    return TextLabels(labels, weight, same & ~doubted, ~same & ~doubted, doubted)
