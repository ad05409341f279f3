"""The texts of CLAIR: class names in the words of two domains, and what follows from them in closed form."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Float64, Int
from torch import Tensor, nn

from tpsnet.backbone import Backbone, NamePrompt, class_texts
from tpsnet.data import style_of
from tpsnet.methods.clair.config import CLAIRConfig
from tpsnet.targets import procrustes_map, ridge_map


class DomainTexts(nn.Module):
    """Texts of any class names, hand-written and with the learned context.

    Args:
        backbone: Backbone whose text tower encodes the texts; it is not registered as a submodule.
        cfg: The config of CLAIR.
        seed: Seed of the initial context.
    """

    def __init__(self, backbone: Backbone, cfg: CLAIRConfig, seed: int) -> None:
        super().__init__()
        self.cfg = cfg
        self.dim = backbone.dim
        self.prompt = NamePrompt(backbone, cfg.context, seed) if cfg.context else None
        self._class_texts = lambda names, domain: class_texts(backbone, names, style_of(domain))
        self._known: dict[tuple[tuple[str, ...], str], Tensor] = {}

    def written(self, names: Sequence[str], domain: str) -> Float[Tensor, "classes dim"]:
        """The ensemble of templates, see ``class_texts``; encoded once, since nothing changes it."""
        key = (tuple(names), domain)
        if key not in self._known:
            self._known[key] = self._class_texts(names, domain)
        return self._known[key]

    @torch.no_grad()
    def forward(self, names: Sequence[str], domain: str) -> Float[Tensor, "classes dim"]:
        """L2-normalised rows: the hand-written texts and the learned ones together."""
        written = self.written(names, domain)
        if self.prompt is None:
            return written
        return F.normalize(written + self.prompt(self.tokens(names, domain)), dim=1)

    def tokens(self, names: Sequence[str], domain: str) -> Int[Tensor, "classes length"]:
        """Token ids of the names in the words of a domain, with places for the learned context."""
        return self.prompt.tokens(names, style_of(domain))

    def cross_domain_map(self, domains: tuple[str, str]) -> Float64[Tensor, "dim dim"]:
        """W from the first domain to the second, for centred vectors; the identity where it is switched off.

        Raises:
            InputError: A rank is given without Procrustes, or ``text_map`` refuses the texts.
        """
        cfg = self.cfg
        if cfg.map == "none":
            return torch.eye(self.dim, dtype=torch.float64)
        start, goal = (centred(self(cfg.vocabulary or cfg.names, name)) for name in domains)
        if cfg.map == "ridge":
            return ridge_map(start, goal, cfg.map_penalty)
        return procrustes_map(start, goal, cfg.map_rank)


def centred(texts: Float[Tensor, "classes dim"]) -> Float[Tensor, "classes dim"]:
    """L2-normalised rows less their mean: what all texts of a domain share says nothing about a class."""
    return F.normalize(texts - texts.mean(dim=0), dim=1)
