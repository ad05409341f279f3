r"""Visual prompts: learned queries of a domain that draw from an image's tokens more than their mean.

.. math:: h = \Big(\frac{1}{P} \sum_p \mathrm{softmax}(q_p^d\, \hat t^\top / \sqrt{w})\, \hat t
          - \bar{\hat t}\Big)\, W, \qquad \hat t = (t - m_d) / \sigma

with the tokens t of an image of domain d. Three things are taken from the frozen tower once and stay: the
mean :math:`m_d` of a domain's tokens, the spread :math:`\sigma` of each of the w channels over both, and W,
which reads a CLIP vector off the mean token (ridge regression over the images). Of the prompts only the
queries are learned, so few numbers that little can be learned by heart, and a query of zero adds nothing.

Source: CLAIR (BMVC 2025, arXiv:2508.12290) states extra learnable prompts for zero-shot generalisation. The
form is INFERRED. Visual prompt tuning (Jia et al., ECCV 2022) puts prompts among the patches of a
transformer; ours query what the tower gives out, which serves every tower, convolutions too.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tpsnet.backbone import Backbone, embed_all
from tpsnet.types import Images

PENALTY = 1e-2  # of the ridge regression, for each image


@dataclass(frozen=True, eq=False)
class FrozenStatistics:
    """Statistics of one domain under the frozen tower.

    Attributes:
        vectors: One L2-normalised row per image.
        tokens: Mean token of each image.
        variance: Variance of each channel over all tokens, around their mean.
    """

    vectors: Float[Tensor, "n dim"]
    tokens: Float[Tensor, "n width"]
    variance: Float[Tensor, " width"]


@torch.no_grad()
def frozen_statistics(backbone: Backbone, images: Images) -> FrozenStatistics:
    """Vectors, mean tokens and their spread in one pass over a domain."""
    device = backbone.mean.device
    squares = torch.zeros(backbone.token_dim, dtype=torch.float64, device=device)
    means = []

    def encode(x: Tensor) -> Tensor:
        vectors, tokens = backbone.encode_tokens(x)
        squares.add_(tokens.double().square().mean(dim=1).sum(dim=0))
        means.append(tokens.mean(dim=1))
        return vectors

    vectors, tokens = embed_all(encode, images, device=device).to(device), torch.cat(means)
    spread = squares / len(images) - tokens.double().mean(dim=0).square()
    return FrozenStatistics(vectors, tokens, spread.float())


class VisualPrompts(nn.Module):
    """Maps the tokens of an image to what stands out from their mean, in the space of CLIP vectors.

    Args:
        token_dim: Channels of an image token.
        dim: Length of a CLIP vector.
        prompts: Number P of queries of each domain.
    """

    def __init__(self, token_dim: int, dim: int, prompts: int) -> None:
        super().__init__()
        self.queries = nn.Parameter(0.02 * torch.randn(2, prompts, token_dim))
        self.register_buffer("centre", torch.zeros(2, token_dim))
        self.register_buffer("spread", torch.ones(token_dim))
        self.register_buffer("readout", torch.zeros(token_dim, dim))

    def fix(self, statistics: Sequence[FrozenStatistics]) -> None:
        """Take centre, spread and readout from both domains as the frozen tower sees them."""
        self.centre.copy_(torch.stack([s.tokens.mean(dim=0) for s in statistics]))
        variance = torch.stack([s.variance for s in statistics]).mean(dim=0)
        # A channel that is silent at first may wake when the tower moves; it should not drown the others.
        self.spread.copy_(variance.clamp_min(1e-3 * float(variance.mean())).sqrt())
        self.readout.copy_(self._solve(statistics))

    def _solve(self, statistics: Sequence[FrozenStatistics]) -> Float[Tensor, "width dim"]:
        """W: from standardised mean tokens to CLIP vectors less their domain's mean."""
        x = torch.cat([(s.tokens - m) / self.spread for s, m in zip(statistics, self.centre, strict=True)])
        y = torch.cat([s.vectors - s.vectors.mean(dim=0) for s in statistics]).double()
        gram = x.double().T @ x.double()
        gram.diagonal().add_(PENALTY * len(x))
        return torch.linalg.solve(gram, x.double().T @ y).float()

    def forward(self, tokens: Float[Tensor, "batch tokens width"], domain: int) -> Float[Tensor, "batch dim"]:
        """What to add to the images' centred CLIP vectors.

        Args:
            tokens: Tokens of images of one domain.
            domain: Number of the domain, 0 or 1.
        """
        tokens = (tokens - self.centre[domain]) / self.spread
        gathered = (self.attention(tokens, domain) @ tokens).mean(dim=1)
        return (gathered - tokens.mean(dim=1)) @ self.readout

    def attention(
        self, standard: Float[Tensor, "batch tokens width"], domain: int
    ) -> Float[Tensor, "batch prompts tokens"]:
        """Attention of the prompts: rows that sum to one, over standardised tokens."""
        return (self.queries[domain] @ standard.transpose(1, 2) / standard.shape[2] ** 0.5).softmax(dim=2)
