"""Stage 2 of CLAIR: visual prompts and the tower's last groups, on three contrasts."""

import torch
import torch.nn.functional as F
from torch import Tensor

from tpsnet.backbone import embed_all
from tpsnet.losses import inter_domain, inter_instance, prototype_contrast
from tpsnet.methods.base import Stage
from tpsnet.methods.clair.network import CLAIRNetwork
from tpsnet.targets import class_means, momentum_update
from tpsnet.types import Batch


class ImageStage(Stage):
    r""":math:`L = \lambda_1 L_{ii} + \lambda_2 L_{ic} + \lambda_3 L_{id}`, each image by its confidence.

    Attributes:
        latest: embeddings of the step's images times their confidence, and their pseudo-labels.
    """

    name, views = "images", 2

    def __init__(self, method: CLAIRNetwork) -> None:
        self.method, self.targets, self.cfg = method, method.targets, method.cfg
        cfg = self.cfg
        self.epochs, self.batch_size = cfg.epochs, cfg.batch_size
        self.weights = {
            "instance": cfg.instance_weight,
            "cluster": cfg.cluster_weight,
            "domain": cfg.domain_weight,
        }
        self.latest: tuple[Tensor, Tensor] | None = None

    def parameters(self) -> list[dict]:
        """Visual prompts and the unlocked part of the tower."""
        prompts = list(self.method.prompts.parameters()) if self.method.prompts else []
        groups = [
            {"params": prompts, "lr": self.cfg.prompt_lr},
            {"params": self.method.unlocked, "lr": self.cfg.tower_lr},
        ]
        return [group for group in groups if group["params"]]

    def begin_epoch(self, epoch: int) -> dict[str, float]:
        """Renew pseudo-labels from the learned texts; at first prototypes too, from all images."""
        method, targets = self.method, self.targets
        shares = targets.renew(method.texts, learned=True)
        if epoch == 0:
            method.eval()
            rows = [
                embed_all(lambda x, d=d: method(x, d), images, device=method.device).to(method.device)
                for d, images in enumerate(method.images)
            ]
            weighted = torch.cat(
                [z * p.confidence[:, None] for z, p in zip(rows, targets.found, strict=True)]
            )
            labels = torch.cat([p.labels for p in targets.found])
            targets.prototypes.copy_(class_means(weighted, labels, len(targets.prototypes))[0])
        return shares

    def losses(self, first: Batch, second: Batch) -> dict[str, Tensor]:
        """The three contrasts, each summed over the domains."""
        tau, prototypes, sides = self.cfg.temperature, self.targets.prototypes, []
        for batch in (first, second):
            z = self.method(torch.cat([batch.view1, batch.view2]), batch.domain)
            found = self.targets.found[batch.domain]
            sides.append((z, found.labels[batch.index].repeat(2), found.confidence[batch.index].repeat(2)))
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
