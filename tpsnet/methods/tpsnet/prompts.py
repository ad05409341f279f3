"""Stage 1 of TPSNet: a prompt for every cluster and domain, CLIP frozen."""

import torch
from torch import Tensor

from tpsnet.losses import image_to_text, repair_labels, text_to_image
from tpsnet.methods.base import Stage
from tpsnet.methods.tpsnet.network import DualPriorNetwork
from tpsnet.types import Batch


class PromptStage(Stage):
    r""":math:`L = L_{i2t} + L_{t2i}` on cluster labels, which re-pairing replaces after a warm-up.

    Attributes:
        repairing: whether images are paired with the nearest prompt instead of their cluster's.
    """

    name, views, batch_size = "prompts", 0, 512
    weights = {"i2t": 1.0, "t2i": 1.0}  # noqa: RUF012

    def __init__(self, method: DualPriorNetwork) -> None:
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
