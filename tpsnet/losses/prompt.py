r"""Contrast between the images of one domain and its class prompts, in both directions, and label repair.

With L2-normalised rows :math:`I_i` (images of the batch), :math:`T_c` (one text per class), labels
:math:`y_i`, the images :math:`P_c = \{i : y_i = c\}` of a class, and
:math:`s_{ic} = \langle I_i, T_c\rangle / \tau`:

.. math::
    L_{i2t} = -\frac1B \sum_i \sum_c \sigma_{ic} \log \frac{e^{s_{ic}}}{\sum_a e^{s_{ia}}},
    \qquad \sigma_{ic} = (1 - \varepsilon)\,[c = y_i] + \varepsilon / C

.. math::
    L_{t2i} = -\frac{1}{|Y|} \sum_{c \in Y} \frac{1}{|P_c|} \sum_{i \in P_c}
              \log \frac{e^{s_{ic}}}{\sum_{a} e^{s_{ac}}},
    \qquad Y = \{c : P_c \ne \emptyset\}

.. math:: \tilde y_i = \arg\max_c \langle I_i, T_c\rangle

Source: TPSNet (CVPR 2026, arXiv:2603.12711) names :math:`L_{i2t}`, :math:`L_{t2i}`, the smoothed
:math:`L_{i2tce}` and the re-pairing by cosine. The formulas are INFERRED from CLIP-ReID (AAAI 2023,
arXiv:2211.13977) and CCLNet (ACM MM 2023), whose letter names they share; only :math:`\sigma` is reported of
TPSNet itself.
Ours differs:

- the image-to-text softmax runs over the C prompts, each once; CLIP-ReID's prompt stage repeats the text of a
  class for every image of it in the batch, so that a class counts as often as it is drawn and a step costs a
  text pass per sample;
- every class in the batch weighs the same in text-to-image, whatever the number of its images;
- rows are L2-normalised and the temperature is explicit; CLIP-ReID contrasts un-normalised features at
  :math:`\tau = 1`.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


def image_to_text(
    images: Float[Tensor, "batch dim"],
    texts: Float[Tensor, "classes dim"],
    labels: Int[Tensor, " batch"],
    *,
    temperature: float,
    smoothing: float = 0.0,
) -> Float[Tensor, ""]:
    r"""Each image picks its text among all texts: :math:`L_{i2t}`; smoothed, :math:`L_{i2tce}`.

    Args:
        images: Image embeddings as L2-normalised rows.
        texts: Text embeddings of the images' own domain, one L2-normalised row per class.
        labels: Class of each image: a pseudo-label, or what ``repair_labels`` returns.
        temperature: Softmax temperature; must be positive. CLIP's own is 0.01.
        smoothing: Share :math:`\varepsilon` of the target, in [0, 1], that is spread evenly over all classes.

    Returns:
        The mean over images.
    """
    return F.cross_entropy(images @ texts.T / temperature, labels, label_smoothing=smoothing)


def text_to_image(
    texts: Float[Tensor, "classes dim"],
    images: Float[Tensor, "batch dim"],
    labels: Int[Tensor, " batch"],
    *,
    temperature: float,
) -> Float[Tensor, ""]:
    r"""Each text picks its images among the batch: :math:`L_{t2i}`, a supervised contrast.

    Args:
        texts: Text embeddings of the images' own domain, one L2-normalised row per class.
        images: Image embeddings as L2-normalised rows.
        labels: Pseudo-label of each image.
        temperature: Softmax temperature; must be positive.

    Returns:
        The mean over the classes that have an image in the batch; an absent class costs nothing, and so does
        a batch of one image, which has no competitor.
    """
    log_p = (texts @ images.T / temperature).log_softmax(dim=1)  # (classes, batch)
    own = log_p[labels, torch.arange(len(images), device=images.device)]  # each image under its class's text
    # One over the class's size: a class's weights sum to one, all weights to the number of classes present.
    weight = 1 / labels.bincount(minlength=len(texts))[labels].to(own.dtype)
    return -(own * weight).sum() / weight.sum()


def repair_labels(
    images: Float[Tensor, "batch dim"], texts: Float[Tensor, "classes dim"]
) -> Int[Tensor, " batch"]:
    """Re-pair each image with the text nearest to it; no gradient flows.

    Prompts that have learned nothing yet are nearly equal, and the nearest is then arbitrary: train on the
    clusters' labels for some epochs first.

    Args:
        images: Image embeddings as L2-normalised rows.
        texts: Text embeddings of the images' own domain, one L2-normalised row per class.

    Returns:
        Class ids as int64; among equally near texts the lowest id wins.
    """
    with torch.no_grad():
        return (images @ texts.T).argmax(dim=1)
