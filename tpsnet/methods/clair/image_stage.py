"""Stage 2 of CLAIR: the maps of the views, on three contrasts."""

import torch
import torch.nn.functional as F
from torch import Tensor

from tpsnet.losses import inter_domain, inter_instance, prototype_contrast
from tpsnet.methods.base import Stage
from tpsnet.methods.clair.network import CLAIRNetwork
from tpsnet.targets import class_means, momentum_update
from tpsnet.types import Batch


class ImageStage(Stage):
    r""":math:`L = \lambda_1 L_{ii} + \lambda_2 L_{ic} + \lambda_3 L_{id}`, each image by its confidence.

    Attributes:
        named: whether the images have their pseudo-labels from the learned texts, which stay as they are.
        latest: embeddings of the step's images times their confidence, and their pseudo-labels.
    """

    name, views = "images", 0

    def __init__(self, method: CLAIRNetwork) -> None:
        self.method, self.targets, self.cfg = method, method.targets, method.cfg
        cfg = self.cfg
        self.batch_size = cfg.batch_size
        steps = -(-max(map(len, method.images)) // self.batch_size)  # in an epoch
        self.epochs = min(cfg.epochs, -(-cfg.steps // steps))
        self.weights = {
            "instance": cfg.instance_weight,
            "cluster": cfg.cluster_weight,
            "domain": cfg.domain_weight,
        }
        self.named, self.latest = False, None

    def parameters(self) -> list[dict]:
        """The maps."""
        return [{"params": list(self.method.maps), "lr": self.cfg.map_lr}]

    def begin_epoch(self, epoch: int) -> dict[str, float]:
        """Pseudo-labels from the learned texts; at first prototypes too, from all images."""
        targets = self.targets
        if not self.named:
            targets.renew(self.method.texts, learned=True)
            self.named = True
        if epoch == 0:
            with torch.no_grad():
                rows = [self.method.join(self.method.mapped(views)) for views in targets.views]
            weighted = torch.cat(
                [z * p.confidence[:, None] for z, p in zip(rows, targets.found, strict=True)]
            )
            labels = torch.cat([p.labels for p in targets.found])
            targets.prototypes.copy_(class_means(weighted, labels, len(targets.prototypes))[0])
        return targets.shares()

    def losses(self, first: Batch, second: Batch) -> dict[str, Tensor]:
        """The three contrasts, each summed over the domains."""
        tau, prototypes, sides = self.cfg.temperature, self.targets.prototypes, []
        for batch in (first, second):
            found = self.targets.found[batch.domain]
            z = self.method(batch.domain, batch.index)
            sides.append((z, found.labels[batch.index], found.confidence[batch.index]))
        weighted, labels = (
            torch.cat(x) for x in zip(*((z * w[:, None], y) for z, y, w in sides), strict=True)
        )
        self.latest = weighted.detach(), labels
        zero = torch.zeros((), device=self.method.device)
        terms = {"instance": zero, "cluster": zero, "domain": zero}
        for (z, labels, confidence), (other, other_labels, _) in (sides, sides[::-1]):
            votes = F.one_hot(labels, len(prototypes)) * confidence[:, None]
            across = inter_domain(z, labels, confidence, other, other_labels, temperature=tau)
            terms = {
                "instance": terms["instance"] + inter_instance(z, labels, confidence, temperature=tau),
                "cluster": terms["cluster"] + prototype_contrast(z, prototypes, votes, temperature=tau),
                "domain": terms["domain"] + across,
            }
        return terms

    def after_step(self) -> None:
        """Move the prototypes towards the images of the step."""
        prototypes = self.targets.prototypes
        means, counts = class_means(*self.latest, len(prototypes))
        prototypes.copy_(momentum_update(prototypes, means, counts, self.cfg.prototype_momentum))
