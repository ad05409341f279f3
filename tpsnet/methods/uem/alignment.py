"""Stage 2 of UEM, cross-domain semantic-matched learning (CDSM): align the domains, keep their structure."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from tpsnet.losses import (
    domain_adversary,
    nearest_neighbour_contrast,
    reverse_gradient,
    structure_preservation,
    switchable_matching,
)
from tpsnet.methods.uem.enhancement import MemoryStage
from tpsnet.methods.uem.unifying import Unifying
from tpsnet.targets import nearest_across
from tpsnet.types import Batch


class AlignmentStage(MemoryStage):
    r""":math:`L = L_{DAL} + \sum_d L_{SPR} + L_{SN^2M}`."""

    name = "cdsm"
    weights = {"dal": 1.0, "spr": 1.0, "sn2m": 1.0}  # noqa: RUF012

    def __init__(self, method: Unifying) -> None:
        super().__init__(method)
        self.epochs = self.cfg.cdsm_epochs

    def parameters(self) -> list[dict]:
        """What the method trains, and the domain classifier."""
        classifier = list(self.targets.classifier.parameters())
        return [*super().parameters(), {"params": classifier, "lr": self.cfg.classifier_lr}]

    def begin_epoch(self, epoch: int) -> dict[str, float]:
        """Keep the weights that stage 1 leaves; renew the prototypes."""
        if epoch == 0:
            self.targets.stage_one.load_state_dict(self.method.trained.state_dict())
        return {"merged": self.targets.renew_prototypes()}

    def losses(self, first: Batch, second: Batch) -> dict[str, Tensor]:
        """The adversary over both domains; structure and matching of each."""
        both = self.encode(first, second)
        logits = self.targets.classifier(reverse_gradient(torch.cat(both)))[:, 0].split(
            [len(z) for z in both]
        )
        zero = torch.zeros((), device=self.method.device)
        terms = {"dal": domain_adversary(*logits), "spr": zero.clone(), "sn2m": zero.clone()}
        for z, batch in zip(both, (first, second), strict=True):
            if self.cfg.spda:
                with torch.no_grad():
                    before = self.method.encode(batch, self.targets.stage_one)
                terms["spr"] += structure_preservation(z, before)
            terms["sn2m"] += self._matching(z, batch.domain)
        return terms

    def _matching(self, z: Float[Tensor, "batch dim"], domain: int) -> Float[Tensor, ""]:
        """L_SN²M of one domain's embeddings against the other domain."""
        targets, there, tau = self.targets, 1 - domain, self.cfg.temperature
        bank, prototypes = targets.bank(there), targets.prototypes(there)
        own = F.normalize(targets.clusters(domain), dim=1)
        found = nearest_across(z.detach(), own, targets.unified[there].other, prototypes, bank)
        if not self.cfg.sn2m:
            return nearest_neighbour_contrast(z, bank, found.neighbour, temperature=tau)
        return switchable_matching(
            z, prototypes, bank, found.row, found.neighbour, found.agree, temperature=tau
        )
