"""The texts of CLAIR: class names in the words of two domains, and what follows from them in closed form."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Float64
from torch import Tensor, nn

from tpsnet.backbone import Backbone, NamePrompt, class_texts
from tpsnet.methods.clair_config import CLAIRConfig
from tpsnet.targets import procrustes_map, ridge_map
from tpsnet.types import InputError


class DomainTexts(nn.Module):
    """Texts of any class names, hand-written and with the learned context.

    Args:
        backbone: its text tower; it is not registered as a submodule.
        domains: names of the two domains.
        cfg: settings of CLAIR.
    """

    def __init__(self, backbone: Backbone, domains: tuple[str, str], cfg: CLAIRConfig) -> None:
        super().__init__()
        self.cfg, self.domains = cfg, domains
        self.prompt = NamePrompt(backbone, cfg.context, cfg.seed) if cfg.context else None
        self._class_texts = lambda names, domain: class_texts(backbone, names, domain)
        self._known: dict[tuple[tuple[str, ...], str], Tensor] = {}

    def written(self, names: Sequence[str], domain: str) -> Float[Tensor, "classes dim"]:
        """The ensemble of templates, see ``class_texts``; encoded once, since nothing changes it."""
        key = (tuple(names), domain)
        if key not in self._known:
            self._known[key] = self._class_texts(names, domain)
        return self._known[key]

    @torch.no_grad()
    def forward(self, names: Sequence[str], domain: str) -> Float[Tensor, "classes dim"]:
        """Unit rows: the hand-written texts and the learned ones together."""
        written = self.written(names, domain)
        if self.prompt is None:
            return written
        return F.normalize(written + self.prompt(self.prompt.tokens(names, domain)), dim=1)

    def cross_domain_map(self) -> Float64[Tensor, "dim dim"] | None:
        """W from the first domain to the second, for centred vectors; ``None`` where it is switched off.

        Raises:
            InputError: a rank without Procrustes; see ``text_map``.
        """
        cfg = self.cfg
        if cfg.map_rank is not None and cfg.map != "procrustes":
            raise InputError(f"map_rank={cfg.map_rank} belongs to map='procrustes'; this is {cfg.map!r}")
        if cfg.map == "none":
            return None
        start, goal = (centred(self(cfg.vocabulary or cfg.names, name)) for name in self.domains)
        if cfg.map == "ridge":
            return ridge_map(start, goal, cfg.map_penalty)
        return procrustes_map(start, goal, cfg.map_rank)


def centred(texts: Float[Tensor, "classes dim"]) -> Float[Tensor, "classes dim"]:
    """Unit rows less their mean: what all texts of a domain share says nothing about a class."""
    return F.normalize(texts - texts.mean(dim=0), dim=1)
