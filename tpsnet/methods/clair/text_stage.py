"""Stage 1 of CLAIR: a learned context before every class name, CLIP frozen."""

import torch
import torch.nn.functional as F
from jaxtyping import Int
from torch import Tensor

from tpsnet.losses import prototype_contrast
from tpsnet.methods.base import Stage
from tpsnet.methods.clair.network import CLAIRNetwork
from tpsnet.methods.clair.texts import centred
from tpsnet.types import Batch


class TextStage(Stage):
    """Each image picks its text among those that the batch holds, by its confidence.

    Attributes:
        tokens: token ids of all names in the words of either domain.
    """

    name, views, batch_size = "texts", 0, 512
    weights = {"i2t": 1.0}  # noqa: RUF012

    def __init__(self, method: CLAIRNetwork) -> None:
        self.method, self.targets, self.cfg = method, method.targets, method.cfg
        self.epochs = self.cfg.text_epochs
        self.tokens: list[Int[Tensor, "classes length"]] = []

    def parameters(self) -> list[dict]:
        """The context."""
        return [{"params": list(self.method.texts.parameters()), "lr": self.cfg.text_lr}]

    def begin_epoch(self, epoch: int) -> dict[str, float]:
        """Pseudo-labels come from the hand-written texts alone."""
        texts = self.method.texts
        self.tokens = [texts.tokens(self.cfg.names, name) for name in self.method.domains]
        self.targets.renew(texts, learned=False)
        return self.targets.shares()

    def losses(self, first: Batch, second: Batch) -> dict[str, Tensor]:
        """Prototype contrast against the texts of each domain, summed."""
        cost = torch.zeros((), device=self.method.device)
        for batch in (first, second):
            d, index = batch.domain, batch.index
            found = self.targets.found[d]
            present, row = found.labels[index].unique(return_inverse=True)
            texts = self.method.texts.prompt(self.tokens[d][present.cpu()])
            votes = F.one_hot(row, len(present)) * found.confidence[index, None]
            z, tau = self.targets.vectors[d][index], self.cfg.vote_temperature
            cost = cost + prototype_contrast(z, centred(texts), votes, temperature=tau)
        return {"i2t": cost}

    def finish(self) -> None:
        """The map and the means follow the learned context, which stays from here on."""
        self.method.keep_texts()
