"""What stands in for labels while CLAIR trains: pseudo-labels from texts and clusters, and prototypes."""

import dataclasses

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from tpsnet.methods.clair.config import CLAIRConfig
from tpsnet.methods.clair.texts import DomainTexts, centred
from tpsnet.methods.views import Views
from tpsnet.targets import TextLabels, kmeans, refine_pseudo_labels, text_votes

KINDS = ("kept", "corrected", "doubted")


class TextPseudoLabels(nn.Module):
    """State of a training of CLAIR, for both domains.

    Args:
        views: Centred vectors of all images of either domain in each view; the first view is colour, which
            the texts describe.
        domains: Names of both domains.
        cfg: The config of CLAIR.
        seed: Seed of k-means.
        oracle: True labels of both domains, rows of the names, instead of pseudo-labels; ``None`` for every
            honest training.

    Attributes:
        views: the vectors.
        vectors: those of the colour view.
        found: refined pseudo-labels of both domains, as the losses use them.
        prototypes: one L2-normalised row a name, shared by both domains.
    """

    def __init__(
        self,
        views: Views,
        domains: tuple[str, str],
        cfg: CLAIRConfig,
        seed: int,
        oracle: tuple[Int[Tensor, " a"], Int[Tensor, " b"]] | None,
    ) -> None:
        super().__init__()
        self.views, self.vectors = views, [rows[0] for rows in views]
        self.domains, self.cfg, self.oracle = domains, cfg, oracle
        self.clusters = [self._cluster(rows, seed) for rows in self.vectors]
        self.found: list[TextLabels] = []
        width = sum(z.shape[1] for z in views[0])
        self.register_buffer("prototypes", self.vectors[0].new_zeros(len(cfg.names), width))

    def _cluster(self, vectors: Float[Tensor, "n dim"], seed: int) -> Int[Tensor, " n"]:
        k = min(self.cfg.clusters or len(self.cfg.names), len(vectors))
        return kmeans(vectors, k, seed=seed).assignment

    def renew(self, texts: DomainTexts, *, learned: bool) -> None:
        """Pseudo-labels of both domains from texts that are centred like the images.

        Args:
            texts: The texts of CLAIR.
            learned: Whether the learned context is used beside the hand-written texts.
        """
        cfg, self.found = self.cfg, []
        trusted = cfg.refined and self.oracle is None
        agreement, quantile, doubt = (cfg.agreement, cfg.doubted, cfg.doubt) if trusted else (0.0, 0.0, 1.0)
        for d, name in enumerate(self.domains):
            rows = texts(cfg.names, name) if learned else texts.written(cfg.names, name)
            votes = text_votes(self.vectors[d], centred(rows), cfg.vote_temperature)
            if self.oracle is not None:
                votes = F.one_hot(self.oracle[d].to(votes.device), len(cfg.names)).to(votes.dtype)
            found = refine_pseudo_labels(
                votes, self.clusters[d], agreement=agreement, quantile=quantile, doubt=doubt
            )
            if not cfg.refined:
                found = dataclasses.replace(found, confidence=torch.ones_like(found.confidence))
            self.found.append(found)

    def shares(self) -> dict[str, float]:
        """Shares of images whose label is kept, corrected or doubted."""
        return {k: float(torch.cat([getattr(p, k) for p in self.found]).double().mean()) for k in KINDS}
