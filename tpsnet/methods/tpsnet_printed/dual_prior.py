"""Stage 2 of TPSNet as printed: the image side, on momentum prototypes and on the frozen prompts."""

import torch
import torch.nn.functional as F
from torch import Tensor

from tpsnet.backbone import layer_groups
from tpsnet.losses import image_to_text, prototype_contrast, repair_labels
from tpsnet.methods.base import Stage
from tpsnet.methods.tpsnet_printed.network import DualPriorNetwork
from tpsnet.types import Batch


class DualPriorStage(Stage):
    r""":math:`L = \alpha L_{pce} + \beta L_{i2tce}`; pseudo-labels and prototypes are renewed each epoch."""

    name, views = "network", 1

    def __init__(self, method: DualPriorNetwork) -> None:
        self.method, self.targets, self.cfg = method, method.targets, method.cfg
        self.epochs, self.batch_size = self.cfg.epochs, self.cfg.batch_size
        self.weights = {"pce": self.cfg.prototype_weight, "i2tce": self.cfg.text_weight}

    def parameters(self) -> list[dict]:
        """CLIP's image tower, and everything new."""
        method = self.method
        new = (method.fusion, method.phase, method.synergy)
        return [
            *layer_groups(method.backbone.tower, self.cfg.encoder_lr, self.cfg.layers),
            {"params": [p for m in new for p in m.parameters()], "lr": self.cfg.module_lr},
        ]

    def begin_epoch(self, epoch: int) -> dict[str, float]:
        """Renew pseudo-labels and momentum prototypes.

        At first the prompts name the pseudo-labels (re-pairing), later the nearest prototypes do.
        """
        method, targets = self.method, self.targets
        vectors = [method.trained(images, d).to(method.device) for d, images in enumerate(method.images)]
        changed = 0.0
        for d, rows in enumerate(vectors):
            near = (rows, targets.prototypes[d]) if epoch else (targets.features[d], method.texts[d])
            renewed, labels = repair_labels(*near), targets.labels(d)
            changed += float((renewed != labels).double().mean()) / 2
            labels.copy_(renewed)
        targets.move_prototypes(vectors, self.cfg.prototype_momentum)
        return {"relabelled": changed}

    def losses(self, first: Batch, second: Batch) -> dict[str, Tensor]:
        """Prototype and text contrast, summed over the domains."""
        cfg, method, zero = self.cfg, self.method, torch.zeros((), device=self.method.device)
        terms = {"pce": zero.clone(), "i2tce": zero.clone()}
        for batch in (first, second):
            z = method.forward(batch.view1, batch.domain)
            labels = self.targets.labels(batch.domain)[batch.index]
            votes = F.one_hot(labels, cfg.clusters).to(z.dtype)
            prototypes = self.targets.prototypes[batch.domain]
            terms["pce"] += prototype_contrast(z, prototypes, votes, temperature=cfg.prototype_temperature)
            texts, tau = method.texts[batch.domain], cfg.text_temperature
            terms["i2tce"] += image_to_text(z, texts, labels, temperature=tau, smoothing=cfg.smoothing)
        return terms

    def finish(self) -> None:
        """Keep the mean of each domain's embeddings, which ``embed`` takes off."""
        for d, images in enumerate(self.method.images):
            self.method.shift[d] = self.method.trained(images, d).mean(dim=0)
