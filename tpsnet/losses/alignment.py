r"""Semantic-preserving domain alignment: an adversary that is kept guessing, a structure that stays.

.. math:: L_{DAL} = -\frac1{2B} \sum_i y_i \log g(z_i) + (1 - y_i) \log(1 - g(z_i))

.. math:: L_{SPR} = \frac1{B^2} \sum_{ij} \bigl(\cos(z_i, z_j) - \cos(z'_i, z'_j)\bigr)^2
          + \bigl(\lVert z_i - z_j\rVert - \lVert z'_i - z'_j\rVert\bigr)^2

with y = 1 in the first domain, g the domain classifier, and :math:`z'` the frozen copy of the first stage.

Source: UEM (NeurIPS 2024, arXiv:2403.05690), eqs. 13 and 14.
Ours differs: L_DAL is a mean where the paper prints a sum, and one step plays both sides of the game through
a reversed gradient (Ganin and Lempitsky, ICML 2015) where the paper prints a bi-level problem; both INFERRED.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def domain_adversary(first: Float[Tensor, " batch"], second: Float[Tensor, " batch2"]) -> Float[Tensor, ""]:
    """Binary cross-entropy of the domain classifier, averaged over all images of both domains.

    Args:
        first: Logits of the first domain's images, for which the classifier should say yes.
        second: Logits of the second domain's images.
    """
    logits = torch.cat([first, second])
    truth = torch.cat([torch.ones_like(first), torch.zeros_like(second)])
    return F.binary_cross_entropy_with_logits(logits, truth)


def reverse_gradient(z: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch dim"]:
    """``z`` itself, but its gradient changes sign: what made ``z`` plays against the loss."""
    return _Reverse.apply(z)


class _Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, z: Tensor) -> Tensor:
        return z.view_as(z)

    @staticmethod
    def backward(ctx: object, grad: Tensor) -> Tensor:
        return -grad


def structure_preservation(
    z: Float[Tensor, "batch dim"], frozen: Float[Tensor, "batch dim"]
) -> Float[Tensor, ""]:
    """How far the pairwise cosines and distances have moved from those of the frozen copy.

    Args:
        z: Embeddings as L2-normalised rows.
        frozen: Embeddings of the same images by the frozen copy, as L2-normalised rows without gradient.

    Returns:
        The mean over all ordered pairs, the images with themselves included (they add zero).
    """
    cosine = (z @ z.T - frozen @ frozen.T).square()
    distance = (_distances(z) - _distances(frozen)).square()
    return (cosine + distance).mean()


def _distances(z: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch batch"]:
    """Pairwise distances, without the matrix product, whose root is noise on the diagonal.

    The gradient on the diagonal is zero.
    """
    return torch.cdist(z, z, compute_mode="donot_use_mm_for_euclid_dist")
