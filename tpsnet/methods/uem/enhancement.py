"""Stage 1 of UEM, intra-domain semantic-enhanced learning (IDSE), and what both stages share."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from tpsnet.losses import instance_contrast, prototype_contrast, semantic_enhancement
from tpsnet.methods.base import Stage
from tpsnet.methods.uem.unifying import Unifying
from tpsnet.types import Batch


def alpha(epoch: int, epochs: int) -> float:
    """Weight of the prototypes in stage 1, eq. 10: 1 / (1 + exp(E/2 − e)); epochs count from 0 (INFERRED)."""
    return 0.5 + 0.5 * math.tanh(0.5 * (epoch - 0.5 * epochs))  # the same, and it cannot overflow


class MemoryStage(Stage):
    """A stage whose embeddings move the memory banks after every step.

    Attributes:
        seen: domain, index and embeddings of the step's images.
    """

    def __init__(self, method: Unifying) -> None:
        self.method, self.targets, self.cfg = method, method.targets, method.cfg
        self.views, self.batch_size = method.augmented, self.cfg.batch_size
        self.seen: list[tuple[int, Tensor, Tensor]] = []

    def parameters(self) -> list[dict]:
        """What the method trains."""
        return self.method.groups()

    def encode(self, first: Batch, second: Batch) -> list[Float[Tensor, "batch dim"]]:
        """Embeddings of both batches, which the memory banks take in after the step."""
        both = [self.method.encode(batch) for batch in (first, second)]
        self.seen = [(b.domain, b.index, z.detach()) for b, z in zip((first, second), both, strict=True)]
        return both

    def after_step(self) -> None:
        """Move the memory banks."""
        self.targets.update(self.seen)


class EnhancementStage(MemoryStage):
    r""":math:`L = \sum_d L_{INCE} + \alpha(e) (L_{PNCE} + L_{SEL})`.

    Attributes:
        alpha: weight of the prototypes in this epoch.
    """

    name = "idse"
    weights = {"ince": 1.0, "pnce": 1.0, "sel": 1.0}  # noqa: RUF012

    def __init__(self, method: Unifying) -> None:
        super().__init__(method)
        self.epochs, self.alpha = self.cfg.idse_epochs, 0.0

    def begin_epoch(self, epoch: int) -> dict[str, float]:
        """Renew the prototypes, unless they hardly count."""
        self.alpha = alpha(epoch, self.epochs)
        if self.alpha < self.cfg.alpha_floor:
            self.targets.unified = []
            return {"alpha": self.alpha}
        return {"alpha": self.alpha, "merged": self.targets.renew_prototypes()}

    def losses(self, first: Batch, second: Batch) -> dict[str, Tensor]:
        """Each domain against its own memory bank and its own unified prototypes."""
        tau, targets, zero = self.cfg.temperature, self.targets, torch.zeros((), device=self.method.device)
        terms = {name: zero.clone() for name in self.weights}
        for z, batch in zip(self.encode(first, second), (first, second), strict=True):
            index, own = (i.to(z.device) for i in batch.index.unique(return_inverse=True))
            terms["ince"] += instance_contrast(z, targets.bank(batch.domain)[index], own, temperature=tau)
            if not targets.unified:
                continue
            prototypes = targets.prototypes(batch.domain)
            votes = F.one_hot(targets.labels[batch.domain][batch.index], len(prototypes)).to(z.dtype)
            terms["pnce"] += self.alpha * prototype_contrast(z, prototypes, votes, temperature=tau)
            if self.cfg.sel:
                terms["sel"] += self.alpha * semantic_enhancement(z, prototypes, temperature=tau)
        return terms
