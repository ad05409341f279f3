r"""Learnable prompts: one for each class of a domain, or one before the name of any class.

``DomainPrompts``, "An image of a :math:`[X]_1 … [X]_M`": source: TPSNet (CVPR 2026, arXiv:2603.12711),
domain prompt generation; the template is the paper's. :math:`M = 4` and the initial :math:`N(0, 0.02^2)` are
INFERRED (CLIP-ReID, AAAI 2023; CoOp, IJCV 2022).

``NamePrompt``, ":math:`[X]_1 … [X]_M` a line drawing of an ant": CLAIR (BMVC 2025, arXiv:2508.12290) states
extra learnable prompts that carry over to unseen classes; that of its texts is INFERRED, the context shared
by all classes of CoOp, which here stands before the words of the domain.

Ours differs: all texts of a domain are encoded in **one** text pass per step, instead of one pass per sample.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from tpsnet.backbone.captions import captions
from tpsnet.backbone.clip import Backbone
from tpsnet.errors import InputError

TEMPLATE = "An image of a"


class DomainPrompts(nn.Module):
    """The class-specific prompts of one domain. Only the contexts train.

    Args:
        backbone: Backbone whose text tower encodes the prompts; it is not registered as a submodule.
        n_classes: Number of prompts, one per cluster.
        n_context: Number of learned vectors in a prompt (M).
        seed: Seed of the initial contexts.

    Raises:
        InputError: see ``check_context``.
    """

    def __init__(self, backbone: Backbone, n_classes: int, n_context: int = 4, seed: int = 0) -> None:
        super().__init__()
        check_context(backbone, n_context, [TEMPLATE])
        words = backbone.word_embedding
        rng = torch.Generator().manual_seed(seed)
        start = 0.02 * torch.randn(n_classes, n_context, words.embedding_dim, generator=rng)
        self.contexts = nn.Parameter(start.to(words.weight.device))
        bare, full = backbone.tokenizer([TEMPLATE, " ".join([TEMPLATE] + ["X"] * n_context)])
        self.first = int((bare != full).nonzero()[0])  # the bare template ends there
        self.register_buffer("tokens", full.expand(n_classes, -1).to(words.weight.device), persistent=False)
        self._encode = backbone.encode_contexts  # a bound method: no second copy of the weights in state_dict

    def forward(self) -> Float[Tensor, "classes dim"]:
        """L2-normalised text embeddings of all prompts."""
        return self._encode(self.tokens, self.contexts, self.first)


def check_context(backbone: Backbone, n_context: int, texts: Sequence[str]) -> None:
    """Hold a number of learned vectors to the length of the text tower, which cuts off what is too long.

    Args:
        backbone: Backbone with the text tower.
        n_context: Number of learned vectors in a text.
        texts: The texts that they stand in.

    Raises:
        InputError: some text has room for fewer.
    """
    length = backbone.tokenizer(["a"]).shape[1]
    for text in texts:
        some = [f"{text}{' X' * number}" for number in (min(n_context, length), min(n_context, length) + 1)]
        one, more = backbone.tokenizer(some)
        if torch.equal(one, more):  # full, or more than full
            rows = backbone.tokenizer([f"{text}{' X' * number}" for number in range(length + 1)])
            room = int((rows[1:] != rows[:-1]).any(dim=1).sum())
            if n_context > room:
                raise InputError(f"context = {n_context}: the text tower has room for {room} beside {text!r}")


class NamePrompt(nn.Module):
    """One learned context for every class name and every domain. Only the context trains.

    Args:
        backbone: Backbone whose text tower encodes the texts; it is not registered as a submodule.
        n_context: Number of learned vectors (M); must be positive.
        seed: Seed of the initial context.
    """

    def __init__(self, backbone: Backbone, n_context: int = 4, seed: int = 0) -> None:
        super().__init__()
        words = backbone.word_embedding
        rng = torch.Generator().manual_seed(seed)
        start = 0.02 * torch.randn(n_context, words.embedding_dim, generator=rng)
        self.context = nn.Parameter(start.to(words.weight.device))
        # Bound methods: no second copy of the weights in state_dict.
        self._encode, self._tokenizer = backbone.encode_contexts, backbone.tokenizer

    def tokens(self, names: Sequence[str], style: str) -> Int[Tensor, "classes length"]:
        """Token ids of the names in the words of a domain, with places for the context before them.

        Args:
            names: Class names.
            style: Words for an image of the domain, e.g. "line drawing".
        """
        places = " ".join(["X"] * len(self.context))
        return self._tokenizer([f"{places} {captions(name, style)[0]}" for name in names])

    def forward(self, tokens: Int[Tensor, "classes length"]) -> Float[Tensor, "classes dim"]:
        """L2-normalised text embeddings of some rows of ``tokens``."""
        bare, full = self._tokenizer(["a", "X a"])
        first = int((bare != full).nonzero()[0])  # behind the mark of the beginning, if there is one
        contexts = self.context.expand(len(tokens), -1, -1)
        return self._encode(tokens.to(self.context.device), contexts, first)
