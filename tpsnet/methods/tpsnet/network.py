"""The network of TPSNet: CLIP, phase encoder, fusion, and the prompts that query the image."""

import copy
from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from tpsnet.backbone import (
    Backbone,
    DomainPrompts,
    MoCo,
    PhaseEncoder,
    autocast,
    embed_all,
    embed_with_flip,
    phase_image,
)
from tpsnet.errors import InputError
from tpsnet.methods.base import Method, require_clip
from tpsnet.methods.tpsnet.attention import Fusion, Synergy
from tpsnet.methods.tpsnet.config import TPSNetConfig
from tpsnet.methods.tpsnet.pseudo_labels import PseudoLabels
from tpsnet.types import Images


class DualPriorNetwork(Method):
    """All of TPSNet but its stages.

    Args:
        backbone: A CLIP; a copy of it is fine-tuned.
        cfg: The config, with the number of clusters.
        seed: Seed of clusters, prompts, new layers, batches and augmentation.

    Attributes:
        offsets: mean CLIP vector of each domain before training, (2, dim).
        texts: embeddings of the prompts by domain, (2, C, dim); zero without the text prior.
        shift: mean embedding of each domain after training, (2, dim).

    Raises:
        InputError: the number of clusters is missing; the backbone is no CLIP.
    """

    def __init__(self, backbone: Backbone | MoCo, cfg: TPSNetConfig, seed: int = 0) -> None:
        super().__init__(require_clip(backbone, "TPSNet"), cfg, seed)
        if cfg.clusters is None:
            raise InputError(
                "TPSNet needs the number of clusters; set clusters, e.g. to the number of classes"
            )
        self.backbone = copy.deepcopy(backbone)
        self.backbone.freeze_texts()
        dim = backbone.dim
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.fusion = Fusion(dim, backbone.token_dim, cfg.heads)
            self.phase = PhaseEncoder(dim) if cfg.phase_prior else None
            synergy = (dim, cfg.heads, cfg.synergy, cfg.text_temperature)
            self.synergy = Synergy(*synergy) if cfg.text_prior else None
        prompts = (DomainPrompts(self.backbone, cfg.clusters, cfg.context, seed + d) for d in range(2))
        self.prompts = nn.ModuleList(prompts) if cfg.text_prior else None
        self.register_buffer("offsets", torch.zeros(2, dim))
        self.register_buffer("texts", torch.zeros(2, cfg.clusters, dim))
        self.register_buffer("shift", torch.zeros(2, dim))
        self.to(self.device)

    def prepare(self, images: tuple[Images, Images]) -> None:
        """Take off each domain's mean and cluster what is left.

        Raises:
            InputError: a domain has fewer images than clusters are asked for.
        """
        few = min(images, key=len)
        if len(few) < self.cfg.clusters:
            raise InputError(
                f"domain {few.name!r} has {len(few)} images for {self.cfg.clusters} clusters; "
                "ask for fewer clusters"
            )
        super().prepare(images)
        raw = [self.with_flip(self.given.encode_image, x) for x in images]
        self.offsets.copy_(torch.stack([plain.mean(dim=0) for plain, _ in raw]))
        means = zip(raw, self.offsets, strict=True)
        features = [F.normalize(plain + mirrored - 2 * m, dim=1) for (plain, mirrored), m in means]
        self.targets = PseudoLabels(features, self.cfg, self.seed)
        if self.prompts is not None:
            self.texts.copy_(self.encode_prompts())

    def with_flip(self, encode: Callable[[Tensor], Tensor], images: Images) -> list[Float[Tensor, "n dim"]]:
        """Vectors of the images and of their mirror images, on the method's device."""
        return [z.to(self.device) for z in embed_with_flip(encode, images, device=self.device)]

    @torch.no_grad()
    def encode_prompts(self) -> Float[Tensor, "2 classes dim"]:
        """Embeddings of the prompts as they are now, by domain."""
        return torch.stack([p() for p in self.prompts])

    def forward(self, images: Float[Tensor, "batch 3 size size"], domain: int) -> Float[Tensor, "batch dim"]:
        """I' of RGB images in [0, 1]: L2-normalised rows."""
        with autocast(self.device):
            vector, tokens = self.backbone.encode_tokens(images)
            phase = None if self.phase is None else self.phase(phase_image(images))
        vector = F.normalize(vector.float() - self.offsets[domain], dim=1)
        fused, sequence = self.fusion(vector, tokens, phase)
        return fused if self.synergy is None else self.synergy(fused, sequence, self.texts[domain])

    def trained(self, images: Images, domain: int) -> Float[Tensor, "n dim"]:
        """I' of all images, on the CPU."""
        self.eval()
        return embed_all(lambda x: self.forward(x, domain), images, device=self.device)

    def embed(self, images: Images, domain: str | None = None) -> Float[Tensor, "n dim"]:
        """See ``Method.embed``: the trained vectors plus ``start_weight`` times the centred CLIP vectors."""
        d = self.domain_index(domain or images.name)
        trained = F.normalize(self.trained(images, d) - self.shift[d].cpu(), dim=1)
        if not self.cfg.start_weight:
            return trained
        start = embed_all(self.given.encode_image, images, device=self.device)
        start = F.normalize(start - self.offsets[d].cpu(), dim=1)
        return F.normalize(trained + self.cfg.start_weight * start, dim=1)
