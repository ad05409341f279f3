r"""Learnable prompts, one per class of a domain: "An image of a :math:`[X]_1 … [X]_M`".

Source: TPSNet (CVPR 2026, arXiv:2603.12711), domain prompt generation; the template is the paper's.
:math:`M = 4` and the initial :math:`N(0, 0.02^2)` are INFERRED (CLIP-ReID, AAAI 2023; CoOp, IJCV 2022).
Ours differs: all prompts of a domain are encoded in **one** text pass a step, instead of one pass per sample.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tpsnet.backbone.clip import Backbone

TEMPLATE = "An image of a"


class DomainPrompts(nn.Module):
    """The class-specific prompts of one domain. Only the contexts train.

    Args:
        backbone: its text tower encodes the prompts; it is not registered as a submodule.
        n_classes: prompts, one a cluster.
        n_context: learned vectors in a prompt (M).
        seed: of the initial contexts.
    """

    def __init__(self, backbone: Backbone, n_classes: int, n_context: int = 4, seed: int = 0) -> None:
        super().__init__()
        words = backbone.word_embedding
        rng = torch.Generator().manual_seed(seed)
        start = 0.02 * torch.randn(n_classes, n_context, words.embedding_dim, generator=rng)
        self.contexts = nn.Parameter(start.to(words.weight.device))
        bare, full = backbone.tokenizer([TEMPLATE, " ".join([TEMPLATE] + ["X"] * n_context)])
        self.first = int((bare != full).nonzero()[0])  # the bare template ends there
        self.register_buffer("tokens", full.expand(n_classes, -1).to(words.weight.device), persistent=False)
        self._encode = backbone.encode_contexts  # a bound method: no second copy of the weights in state_dict

    def forward(self) -> Float[Tensor, "classes dim"]:
        """Unit text embeddings of all prompts."""
        return self._encode(self.tokens, self.contexts, self.first)
