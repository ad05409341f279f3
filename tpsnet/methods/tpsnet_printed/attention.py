r"""The two attentions of TPSNet as printed: fusion of RGB and phase, and the synergy with the domain prompts.

Source: TPSNet (CVPR 2026, arXiv:2603.12711): RGB and phase features are concatenated, self-attention,
LayerNorm, mean pooling give :math:`I^f`; then :math:`I' = \mathrm{CrossAttention}(T', I^f)`.

Ours differs:

- The concatenation is along the token axis, over all image tokens (INFERRED). Read with one pooled vector,
  the cross-attention has a single key, its softmax is 1 and the text has no influence.
- Both attentions enter through a zero-initialised projection, so an untrained network returns exactly the
  vector it was given (INFERRED; a random start destroys what CLIP knows).
- The prompts' outputs are averaged with the label-free weights
  :math:`w_{ic} = \mathrm{softmax}_c(\langle I^f_i, T'_c\rangle/\tau)` (INFERRED), so that an unseen image
  needs no pseudo-label.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


def zero_linear(dim: int) -> nn.Linear:
    """A projection that starts at zero: what it feeds begins as the identity."""
    layer = nn.Linear(dim, dim)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class Fusion(nn.Module):
    """Fuses image tokens and the phase token into one sequence and one pooled vector.

    Args:
        dim: Length of an embedding.
        token_dim: Channels of an image token.
        heads: Number of attention heads.
    """

    def __init__(self, dim: int, token_dim: int, heads: int) -> None:
        super().__init__()
        self.tokens = nn.Sequential(nn.LayerNorm(token_dim), nn.Linear(token_dim, dim))
        self.attention = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.norm = nn.LayerNorm(dim)
        self.gate = zero_linear(dim)

    def forward(
        self,
        vector: Float[Tensor, "batch dim"],
        tokens: Float[Tensor, "batch tokens width"],
        phase: Float[Tensor, "batch dim"],
    ) -> tuple[Float[Tensor, "batch dim"], Float[Tensor, "batch length dim"]]:
        """The fused L2-normalised vector I^f, and the attended sequence that it was pooled from."""
        # L2-normalised rows times sqrt(dim) have the unit variance that LayerNorm gives the rest.
        parts = [vector[:, None] * vector.shape[1] ** 0.5, self.tokens(tokens), phase[:, None]]
        sequence = torch.cat(parts, dim=1)
        attended, _ = self.attention(sequence, sequence, sequence, need_weights=False)
        sequence = self.norm(sequence + attended)
        return F.normalize(vector + self.gate(sequence.mean(dim=1)), dim=1), sequence


class Synergy(nn.Module):
    """Cross-attention in which the domain's prompts query the fused tokens.

    Args:
        dim: Length of an embedding.
        heads: Number of attention heads.
        temperature: Softmax temperature of the weights over prompts; must be positive.
    """

    def __init__(self, dim: int, heads: int, temperature: float) -> None:
        super().__init__()
        self.heads, self.temperature = heads, temperature
        self.query, self.key, self.value = (nn.Linear(dim, dim) for _ in range(3))
        self.norm = nn.LayerNorm(dim)
        self.gate = zero_linear(dim)

    def forward(
        self,
        fused: Float[Tensor, "batch dim"],
        sequence: Float[Tensor, "batch length dim"],
        prompts: Float[Tensor, "classes dim"],
    ) -> Float[Tensor, "batch dim"]:
        """The L2-normalised vector I'."""
        weights = (fused @ prompts.T / self.temperature).softmax(dim=1)  # (B, C)
        q = self.query(prompts * prompts.shape[1] ** 0.5).unflatten(1, (self.heads, -1))  # (C, h, d/h)
        k = self.key(sequence).unflatten(2, (self.heads, -1))  # (B, L, h, d/h)
        v = self.value(sequence).unflatten(2, (self.heads, -1))
        attention = (torch.einsum("chd,blhd->bhcl", q, k) / q.shape[-1] ** 0.5).softmax(dim=-1)
        # Averaging the prompts' attention maps first saves a factor C of the value products.
        answer = torch.einsum("bc,bhcl,blhd->bhd", weights, attention, v).flatten(1)
        return F.normalize(fused + self.gate(self.norm(answer)), dim=1)
