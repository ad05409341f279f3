"""Stage 1 of TPSNet: a prompt for every cluster and domain, CLIP frozen."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tpsnet.backbone import Backbone, DomainPrompts, MoCo
from tpsnet.errors import InputError
from tpsnet.losses import image_to_text, repair_labels, text_to_image
from tpsnet.methods.base import Method, Stage, check_clusters, require_clip
from tpsnet.types import Batch, Images


class Prompted(Method):
    """A method that learns a prompt for every cluster of each domain.

    Its config has ``clusters`` and the settings of ``PromptStage``. Its targets have ``features`` by domain,
    in CLIP's space, and ``labels(domain)``, the clusters.

    Args:
        backbone: A CLIP.
        cfg: The method's config.
        seed: Seed of clusters, prompts, new layers and batches.

    Attributes:
        prompts: the prompts of both domains; ``learn_prompts`` makes them.
        texts: embeddings of the prompts by domain, (2, C, dim).

    Raises:
        InputError: the number of clusters is missing; the backbone is no CLIP.
    """

    prompts: nn.ModuleList

    def __init__(self, backbone: Backbone | MoCo, cfg: object, seed: int = 0) -> None:
        super().__init__(require_clip(backbone, self.name), cfg, seed)
        if cfg.clusters is None:
            raise InputError(
                f"{self.name} needs the number of clusters; set clusters, e.g. to the number of classes"
            )
        self.register_buffer("texts", torch.zeros(2, cfg.clusters, backbone.dim))

    def learn_prompts(self, reader: Backbone) -> None:
        """Make the prompts.

        Args:
            reader: A copy of the CLIP whose texts are frozen; it reads them.
        """
        clusters, context = self.cfg.clusters, self.cfg.context
        self.prompts = nn.ModuleList(
            DomainPrompts(reader, clusters, context, self.seed + d) for d in range(2)
        )

    @classmethod
    def check(cls, backbone: Backbone | MoCo, cfg: object, images: tuple[Images, Images]) -> None:
        """See ``Method.check``: no domain has fewer images than clusters."""
        check_clusters(cfg.clusters or 0, images)

    def prepare(self, images: tuple[Images, Images]) -> None:
        """See ``Method.prepare``."""
        super().prepare(images)
        self.texts.copy_(self.encode_prompts())

    @torch.no_grad()
    def encode_prompts(self) -> Float[Tensor, "2 classes dim"]:
        """Embeddings of the prompts as they are now, by domain."""
        return torch.stack([p() for p in self.prompts])


class PromptStage(Stage):
    r""":math:`L = L_{i2t} + L_{t2i}` on cluster labels, which re-pairing replaces after a warm-up.

    Attributes:
        repairing: whether images are paired with the nearest prompt instead of their cluster's.
    """

    name, views, batch_size = "prompts", 0, 512
    weights = {"i2t": 1.0, "t2i": 1.0}  # noqa: RUF012

    def __init__(self, method: Prompted) -> None:
        self.method, self.targets, self.cfg = method, method.targets, method.cfg
        self.epochs, self.repairing = self.cfg.prompt_epochs, False

    def parameters(self) -> list[dict]:
        """The contexts."""
        return [{"params": list(self.method.prompts.parameters()), "lr": self.cfg.prompt_lr}]

    def begin_epoch(self, epoch: int) -> dict[str, float]:
        """Note how many images lie nearer to another prompt than to their cluster's."""
        self.repairing = epoch >= self.cfg.prompt_warmup
        texts = self.method.encode_prompts()
        moved = [
            (repair_labels(self.targets.features[d], texts[d]) != self.targets.labels(d)).double().mean()
            for d in range(2)
        ]
        return {"repaired": float(sum(moved)) / 2}

    def losses(self, first: Batch, second: Batch) -> dict[str, Tensor]:
        """Both directions, summed over the domains."""
        tau, zero = self.cfg.prompt_temperature, torch.zeros((), device=self.method.device)
        terms = {"i2t": zero.clone(), "t2i": zero.clone()}
        for batch in (first, second):
            images = self.targets.features[batch.domain][batch.index]
            labels = self.targets.labels(batch.domain)[batch.index]
            texts = self.method.prompts[batch.domain]()
            paired = repair_labels(images, texts) if self.repairing else labels
            terms["i2t"] += image_to_text(images, texts, paired, temperature=tau)
            terms["t2i"] += text_to_image(texts, images, labels, temperature=tau)
        return terms

    def finish(self) -> None:
        """Keep what the prompts have become: stage 2 leaves them alone."""
        self.method.texts.copy_(self.method.encode_prompts())
