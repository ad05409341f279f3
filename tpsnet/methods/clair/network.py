"""The network of CLAIR: CLIP with visual prompts, its texts, and the map from one domain to the other."""

import copy
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from tpsnet.backbone import Backbone, MoCo, autocast, embed_all
from tpsnet.errors import InputError
from tpsnet.methods.base import Method, require_clip
from tpsnet.methods.clair.config import CLAIRConfig
from tpsnet.methods.clair.pseudo_labels import TextPseudoLabels
from tpsnet.methods.clair.texts import DomainTexts
from tpsnet.methods.clair.visual_prompts import VisualPrompts, frozen_statistics
from tpsnet.targets import apply_map
from tpsnet.types import Images


class CLAIRNetwork(Method):
    """All of CLAIR but its stages.

    Args:
        backbone: A CLIP; a copy of it is trained.
        cfg: The config, with the names of the seen classes.
        seed: Seed of clusters, prompts, batches and augmentation.

    Attributes:
        oracle: true labels of both domains, rows of the names, which replace the pseudo-labels if they are
            set before ``prepare``: they measure what better pseudo-labels could bring.
        offsets: mean CLIP vector of each domain before training, (2, dim).
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
        self.backbone = copy.deepcopy(backbone)
        self.unlocked = self.backbone.unlock(cfg.tower_groups)
        self.texts = DomainTexts(self.backbone, cfg, seed)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            sizes = backbone.token_dim, backbone.dim, cfg.visual_prompts
            self.prompts = VisualPrompts(*sizes) if cfg.visual_prompts else None
        self.register_buffer("offsets", torch.zeros(2, backbone.dim))
        self.register_buffer("map", torch.eye(backbone.dim, dtype=torch.float64))
        self.register_buffer("text_means", torch.zeros(2, backbone.dim))
        self.to(self.device)

    def prepare(self, images: tuple[Images, Images]) -> None:
        """Take off each domain's mean, solve the map, and name the images from texts and clusters.

        Raises:
            InputError: a rank of the map that the vocabulary does not span.
        """
        super().prepare(images)
        self.keep_texts()
        statistics = [frozen_statistics(self.backbone, x) for x in images]
        self.offsets.copy_(torch.stack([s.vectors.mean(dim=0) for s in statistics]))
        vectors = [F.normalize(s.vectors - m, dim=1) for s, m in zip(statistics, self.offsets, strict=True)]
        if self.prompts is not None:
            self.prompts.fix(statistics)
        self.targets = TextPseudoLabels(vectors, self.domains, self.cfg, self.seed, self.oracle)
        self.targets.renew(self.texts, learned=False)

    def keep_texts(self) -> None:
        """Solve the map from the texts as they are now, and keep their means, for use without the names."""
        self.map.copy_(self.texts.cross_domain_map(self.domains))
        self.text_means.copy_(torch.stack([self.texts(self.cfg.names, d).mean(dim=0) for d in self.domains]))

    def forward(self, images: Float[Tensor, "batch 3 size size"], domain: int) -> Float[Tensor, "batch dim"]:
        """The trained vectors, L2-normalised."""
        with autocast(self.device):
            vectors, tokens = self.backbone.encode_tokens(images)
        centred_vectors = vectors - self.offsets[domain]
        if self.prompts is None:
            return F.normalize(centred_vectors, dim=1)
        with torch.autocast(self.device.type, enabled=False):  # ``embed_all`` has switched it on
            return F.normalize(centred_vectors + self.prompts(tokens, domain), dim=1)

    def embed(self, images: Images, domain: str | None = None) -> Float[Tensor, "n twice"]:
        """See ``Method.embed``: the frozen CLIP vector beside the trained one, both mapped."""
        self.eval()
        d = self.domain_index(domain or images.name)

        def both(x: Tensor) -> Tensor:
            start = F.normalize(self.given.encode_image(x) - self.offsets[d], dim=1)
            return self._beside(start, self(x, d), d)

        return embed_all(both, images, device=self.device)

    def embed_texts(self, texts: Sequence[str], domain: str) -> Float[Tensor, "text twice"]:
        """See ``Method.embed_texts``: with the learned context, centred by the seen names, mapped."""
        d = self.domain_index(domain)
        rows = F.normalize(self.texts(texts, domain) - self.text_means[d], dim=1)
        return self._beside(rows, rows, d).cpu()

    def _beside(self, start: Tensor, trained: Tensor, domain: int) -> Float[Tensor, "batch twice"]:
        """Both halves of an embedding, in their shares; those of the first domain are mapped."""
        share, halves = self.cfg.trained_share, (start, trained)
        if domain == 0 and self.cfg.map != "none":
            halves = [apply_map(half, self.map) for half in halves]
        return torch.cat([(1 - share) ** 0.5 * halves[0], share**0.5 * halves[1]], dim=1)
