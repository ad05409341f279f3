r"""Contrast by pseudo-labels, each anchor counting by its confidence: within a domain, and across two.

With L2-normalised rows z, labels y, confidences w, and :math:`s_{ia} = \langle z_i, z_a\rangle/\tau`:

.. math::
    L = \frac{1}{\sum_i w_i} \sum_i w_i \, \frac{-1}{|P_i|} \sum_{p \in P_i}
        \log \frac{e^{s_{ip}}}{\sum_{a \in A_i} e^{s_{ia}}}, \qquad P_i = \{p \in A_i : y_p = y_i\}

Within a domain, :math:`A_i` are the other rows of the batch; across domains, all rows of the other domain.

Source: CLAIR (BMVC 2025, arXiv:2508.12290) names an inter-instance and an inter-domain contrast on labels
refined by confidence. The formula is INFERRED: supervised contrast (Khosla et al., NeurIPS 2020, the mean
outside of the logarithm). CLAIR's inter-cluster contrast is ``prototype_contrast`` with confidences as votes.
Ours differs: an anchor without a positive costs nothing and has no say in the mean.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def inter_instance(
    z: Float[Tensor, "row dim"],
    labels: Int[Tensor, " row"],
    confidence: Float[Tensor, " row"],
    *,
    temperature: float,
) -> Float[Tensor, ""]:
    """Pull together what one domain's pseudo-labels call the same.

    Args:
        z: Embeddings of one domain as L2-normalised rows.
        labels: Pseudo-label of each row.
        confidence: Non-negative weight of each anchor; equal weights give plain supervised contrast.
        temperature: Softmax temperature; must be positive.

    Returns:
        The weighted mean; exactly zero, with zero gradient, when no anchor has a positive or a weight.
    """
    itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
    logits = (z @ z.T / temperature).masked_fill(itself, -torch.inf)
    return _weighted(logits, (labels[:, None] == labels) & ~itself, confidence)


def inter_domain(
    z: Float[Tensor, "row dim"],
    labels: Int[Tensor, " row"],
    confidence: Float[Tensor, " row"],
    other: Float[Tensor, "other dim"],
    other_labels: Int[Tensor, " other"],
    *,
    temperature: float,
) -> Float[Tensor, ""]:
    """Pull anchors of one domain to what the other domain's pseudo-labels call the same.

    Args:
        z: Embeddings of the anchors' domain as L2-normalised rows.
        labels: Pseudo-labels of the anchors.
        confidence: Non-negative weight of each anchor.
        other: Embeddings of the other domain as L2-normalised rows.
        other_labels: Pseudo-labels of ``other``, from the same class table.
        temperature: Softmax temperature; must be positive.

    Returns:
        The same weighted mean as ``inter_instance``.
    """
    return _weighted(z @ other.T / temperature, labels[:, None] == other_labels, confidence)


def _weighted(
    logits: Float[Tensor, "row any"], positive: Bool[Tensor, "row any"], confidence: Float[Tensor, " row"]
) -> Float[Tensor, ""]:
    # A row of −∞ alone (a batch of one) has no softmax; it has no positive either.
    log_p = logits.masked_fill(~positive.any(dim=1, keepdim=True), 0).log_softmax(dim=1)
    cost = -torch.where(positive, log_p, 0).sum(dim=1) / positive.sum(dim=1).clamp_min(1)
    weight = confidence * positive.any(dim=1)
    return (weight * cost).sum() / weight.sum().clamp_min(1e-12)
