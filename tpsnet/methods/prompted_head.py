r"""Visual prompts on a frozen tower: learned queries of a domain gather its image tokens for a projection.

.. math:: h = W\,[\,\mathrm{softmax}(q_1^d \hat t^\top / \sqrt{w})\,\hat t,\; \dots\,],
          \qquad \hat t = (t - m_d) / \sigma

with the tokens t of an image of domain d, their mean :math:`m_d` over the domain, and the spread
:math:`\sigma` of each of the w channels over both.

Source: CLAIR (BMVC 2025, arXiv:2508.12290) states extra learnable prompts for zero-shot generalisation. The
form is INFERRED. Visual prompt tuning (Jia et al., ECCV 2022) puts prompts among the patches of a
transformer; ours ask what the tower gives out: that serves every tower, convolutions too, and no gradient
runs through it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from tpsnet.backbone import Backbone, embed_all
from tpsnet.types import Images


@dataclass(frozen=True, eq=False)
class FirstLook:
    """What the frozen tower says of one domain.

    Attributes:
        vectors: unit rows, one a picture.
        mean: mean token.
        variance: of each channel around it.
    """

    vectors: Float[Tensor, "n dim"]
    mean: Float[Tensor, " width"]
    variance: Float[Tensor, " width"]


@torch.no_grad()
def first_look(backbone: Backbone, images: Images) -> FirstLook:
    """Vectors and token moments of a domain in one pass."""
    device = backbone.mean.device
    sums = torch.zeros(2, backbone.token_dim, dtype=torch.float64, device=device)

    def encode(x: Tensor) -> Tensor:
        vectors, tokens = backbone.encode_tokens(x)
        tokens = tokens.double()
        sums.add_(torch.stack([tokens, tokens.square()]).mean(dim=2).sum(dim=1))
        return vectors

    vectors = embed_all(encode, images, device=device).to(device)
    mean, square = sums / len(images)
    return FirstLook(vectors, mean.float(), (square - mean.square()).float())


class PromptedHead(nn.Module):
    """Tokens of an image in, a unit row out.

    Args:
        looks: both domains through the frozen tower.
        dim: length of the result.
        prompts: queries of each domain; 0 averages the tokens.
    """

    def __init__(self, looks: Sequence[FirstLook], dim: int, prompts: int) -> None:
        super().__init__()
        width = len(looks[0].mean)
        self.queries = nn.Parameter(0.02 * torch.randn(2, prompts, width)) if prompts else None
        self.project = nn.Linear(width * max(prompts, 1), dim, bias=False)
        self.register_buffer("centre", torch.stack([look.mean for look in looks]))
        variance = torch.stack([look.variance for look in looks]).mean(dim=0)
        self.register_buffer("spread", variance.clamp_min(1e-12).sqrt())

    def forward(self, tokens: Float[Tensor, "batch tokens width"], domain: int) -> Float[Tensor, "batch dim"]:
        """Unit rows.

        Args:
            tokens: of pictures of one domain.
            domain: 0 or 1.
        """
        tokens = (tokens - self.centre[domain]) / self.spread
        if self.queries is None:
            return F.normalize(self.project(tokens.mean(dim=1)), dim=1)
        return F.normalize(self.project((self.looks(tokens, domain) @ tokens).flatten(1)), dim=1)

    def looks(
        self, standard: Float[Tensor, "batch tokens width"], domain: int
    ) -> Float[Tensor, "batch prompts tokens"]:
        """Where the prompts look: rows that sum to one, over standardised tokens."""
        return (self.queries[domain] @ standard.transpose(1, 2) / standard.shape[2] ** 0.5).softmax(dim=2)
