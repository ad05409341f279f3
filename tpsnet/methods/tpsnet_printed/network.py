"""The network of TPSNet as printed: CLIP, phase encoder, fusion, and the prompts that query the image."""

import copy

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from tpsnet.backbone import Backbone, MoCo, PhaseEncoder, autocast, embed_all, lock, phase_image
from tpsnet.errors import InputError
from tpsnet.methods.tpsnet.prompts import Prompted
from tpsnet.methods.tpsnet_printed.attention import Fusion, Synergy
from tpsnet.methods.tpsnet_printed.config import TPSNetPrintedConfig
from tpsnet.methods.tpsnet_printed.pseudo_labels import PseudoLabels
from tpsnet.types import Images


class DualPriorNetwork(Prompted):
    """All of TPSNet as printed but its stages.

    Args:
        backbone: A CLIP; a copy of it is fine-tuned.
        cfg: The config, with the number of clusters.
        seed: Seed of clusters, prompts, new layers, batches and augmentation.

    Attributes:
        offsets: mean CLIP vector of each domain before training, (2, dim).
        shift: mean embedding of each domain after training, (2, dim).

    Raises:
        InputError: the number of clusters is missing; the backbone is no CLIP, or its width is no multiple of
            the heads; the text tower has no room for the context; more layers are locked than there are.
    """

    def __init__(self, backbone: Backbone | MoCo, cfg: TPSNetPrintedConfig, seed: int = 0) -> None:
        super().__init__(backbone, cfg, seed)
        if backbone.dim % cfg.heads:
            raise InputError(
                f"heads = {cfg.heads}: they must divide the {backbone.dim} numbers of an embedding"
            )
        self.backbone = copy.deepcopy(backbone)
        self.backbone.freeze_texts()
        lock(self.backbone.tower, cfg.layers)
        dim = backbone.dim
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.fusion = Fusion(dim, backbone.token_dim, cfg.heads)
            self.phase = PhaseEncoder(dim)
            self.synergy = Synergy(dim, cfg.heads, cfg.text_temperature)
        self.learn_prompts(self.backbone)
        self.register_buffer("offsets", torch.zeros(2, dim))
        self.register_buffer("shift", torch.zeros(2, dim))
        self.to(self.device)

    def prepare(self, images: tuple[Images, Images]) -> None:
        """Take off each domain's mean and cluster what is left; see ``Prompted.prepare``."""
        super().prepare(images)
        raw = [embed_all(self.given.encode_image, x, device=self.device).to(self.device) for x in images]
        self.offsets.copy_(torch.stack([z.mean(dim=0) for z in raw]))
        features = [F.normalize(z - mean, dim=1) for z, mean in zip(raw, self.offsets, strict=True)]
        self.targets = PseudoLabels(features, self.cfg.clusters, self.seed)

    def forward(
        self, images: Float[Tensor, "batch 3 height width"], domain: int
    ) -> Float[Tensor, "batch dim"]:
        """I' of RGB images in [0, 1]: L2-normalised rows."""
        with autocast(self.device):
            vector, tokens = self.backbone.encode_tokens(images)
            phase = self.phase(phase_image(images))
        vector = F.normalize(vector.float() - self.offsets[domain], dim=1)
        fused, sequence = self.fusion(vector, tokens, phase)
        return self.synergy(fused, sequence, self.texts[domain])

    def trained(self, images: Images, domain: int) -> Float[Tensor, "n dim"]:
        """I' of all images, on the CPU."""
        self.eval()
        return embed_all(lambda x: self.forward(x, domain), images, device=self.device)

    def embed(self, images: Images, domain: str | None = None) -> Float[Tensor, "n dim"]:
        """See ``Method.embed``: the trained vectors less the mean of their domain."""
        d = self.domain_index(domain or images.name)
        return F.normalize(self.trained(images, d) - self.shift[d].cpu(), dim=1)
