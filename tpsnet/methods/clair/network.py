"""The network of CLAIR: maps of frozen views, its texts, and the map from one domain to the other."""

import copy
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from tpsnet.backbone import Backbone, MoCo, captions, check_context
from tpsnet.data import style_of
from tpsnet.errors import InputError
from tpsnet.methods.base import require_clip
from tpsnet.methods.clair.config import CLAIRConfig
from tpsnet.methods.clair.pseudo_labels import TextPseudoLabels
from tpsnet.methods.clair.texts import DomainTexts
from tpsnet.methods.views import ViewMaps
from tpsnet.targets import apply_map
from tpsnet.types import Images


class CLAIRNetwork(ViewMaps):
    """All of CLAIR but its stages.

    Args:
        backbone: A CLIP; it stays frozen.
        cfg: The config, with the names of the seen classes.
        seed: Seed of clusters, the context and batches.

    Attributes:
        oracle: true labels of both domains, rows of the names, which replace the pseudo-labels if they are
            set before ``prepare``: they measure what better pseudo-labels could bring.
        texts: the texts of any class names.
        map: W from the first domain to the second in float64, (dim, dim).
        text_means: mean of the seen names' texts in the words of each domain, (2, dim).

    Raises:
        InputError: no names; the backbone is no CLIP.
    """

    def __init__(self, backbone: Backbone | MoCo, cfg: CLAIRConfig, seed: int = 0) -> None:
        super().__init__(require_clip(backbone, "CLAIR"), cfg, seed)
        if not cfg.names:
            raise InputError("CLAIR needs the class names of what it trains on; give names, one a seen class")
        self.oracle: tuple[Int[Tensor, " a"], Int[Tensor, " b"]] | None = None
        self.texts = DomainTexts(copy.deepcopy(backbone).requires_grad_(False), cfg, seed)
        self.register_buffer("map", torch.eye(backbone.dim, dtype=torch.float64))
        self.register_buffer("text_means", torch.zeros(2, backbone.dim))
        self.to(self.device)

    @classmethod
    def check(cls, backbone: Backbone | MoCo, cfg: CLAIRConfig, images: tuple[Images, Images]) -> None:
        """See ``Method.check``: every name has room in the text tower beside the learned context."""
        clip, names = require_clip(backbone, "CLAIR"), {*cfg.names, *cfg.vocabulary}
        if cfg.context:
            texts = [captions(name, style_of(part.name))[0] for part in images for name in sorted(names)]
            check_context(clip, cfg.context, texts)

    def prepare(self, images: tuple[Images, Images]) -> None:
        """Look at all views, weigh them, solve the map, and name the images from texts and clusters.

        Raises:
            InputError: a rank of the map that the vocabulary does not span.
        """
        super().prepare(images)
        self.keep_texts()
        neighbours = max(1, min(self.cfg.neighbours, *(len(x) - 1 for x in images)))
        views = self.prepare_views(images, neighbours, self.cfg.share)
        self.targets = TextPseudoLabels(views, self.domains, self.cfg, self.seed, self.oracle)
        self.targets.renew(self.texts, learned=False)

    def keep_texts(self) -> None:
        """Solve the map from the texts as they are now, and keep their means, for use without the names."""
        self.map.copy_(self.texts.cross_domain_map(self.domains))
        self.text_means.copy_(torch.stack([self.texts(self.cfg.names, d).mean(dim=0) for d in self.domains]))

    def embedding(
        self, views: Sequence[Float[Tensor, "n dim"]], domain: int
    ) -> Float[Tensor, "n twice_views_dim"]:
        """The frozen views beside the trained ones, in their shares; those of the first domain are mapped."""
        share, halves = self.cfg.trained_share, (views, self.mapped(views))
        if domain == 0 and self.cfg.map != "none":
            halves = [[apply_map(z, self.map) for z in half] for half in halves]
        frozen, trained = (self.join(half) for half in halves)
        return torch.cat([(1 - share) ** 0.5 * frozen, share**0.5 * trained], dim=1)

    @torch.no_grad()
    def embed_texts(self, texts: Sequence[str], domain: str) -> Float[Tensor, "text twice_views_dim"]:
        """See ``Method.embed_texts``: with the learned context, centred by the seen names, mapped."""
        d = self.domain_index(domain)
        rows = F.normalize(self.texts(texts, domain) - self.text_means[d], dim=1)
        return self.embedding([rows] * len(self.maps), d).cpu()
