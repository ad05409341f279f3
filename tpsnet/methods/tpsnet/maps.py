"""Stage 2 of TPSNet: a linear map for each view, fitted on neighbours after diffusion."""

import numpy as np
import torch
from torch import Tensor

from tpsnet.losses import image_to_text, neighbour_contrast
from tpsnet.methods.base import Stage
from tpsnet.methods.tpsnet.network import ViewNetwork
from tpsnet.types import Batch

SAMPLE = 256  # images of each domain that the log asks for their neighbours


class MapStage(Stage):
    r""":math:`L = L_{nn} + \beta L_{i2tce}`: neighbours in both domains, and the prompt of one's cluster."""

    name, views = "maps", 0

    def __init__(self, method: ViewNetwork) -> None:
        self.method, self.targets, self.cfg = method, method.targets, method.cfg
        self.batch_size = self.cfg.batch_size
        steps = -(-max(map(len, method.images)) // self.batch_size)  # in an epoch
        self.epochs = min(self.cfg.epochs, -(-self.cfg.steps // steps))
        self.weights = {"nn": 1.0, "i2tce": self.cfg.text_weight}
        self.rng = torch.Generator()

    def parameters(self) -> list[dict]:
        """The maps."""
        return [{"params": list(self.method.maps), "lr": self.cfg.map_lr}]

    @torch.no_grad()
    def begin_epoch(self, epoch: int) -> dict[str, float]:
        """Seed the draw of neighbours, and note how many images would find one across the domains.

        The share is of a sample: those whose nearest image of the other domain is one of their neighbours.
        """
        mixed = np.random.SeedSequence([self.method.seed, epoch]).generate_state(1, np.uint64)
        self.rng.manual_seed(int(mixed[0]))
        whole = [self.method(d, torch.arange(len(z))) for d, z in enumerate(self.targets.features)]
        found = []
        for d, z in enumerate(whole):
            some = torch.linspace(0, len(z) - 1, min(SAMPLE, len(z))).long().to(z.device)
            nearest = (z[some] @ whole[1 - d].T).argmax(dim=1, keepdim=True)
            near = self.targets.near[d][1 - d][some][:, : self.targets.neighbours]
            found.append((near == nearest).any(dim=1).double().mean())
        return {"found": float(sum(found)) / 2}

    def losses(self, first: Batch, second: Batch) -> dict[str, Tensor]:
        """Summed over the domains, and over the domains of their neighbours."""
        cfg, method, zero = self.cfg, self.method, torch.zeros((), device=self.method.device)
        terms = {"nn": zero.clone(), "i2tce": zero.clone()}
        for batch in (first, second):
            d = batch.domain
            mapped = method.mapped(method.training_views(d, batch.index))
            z = method.join(mapped)
            for other in range(2):
                drawn, related = self.targets.draw(batch.index, d, other, self.rng)
                partners, weights = method(other, drawn), self.targets.trusted(batch.index, d, other)
                terms["nn"] += neighbour_contrast(z, partners, related, weights, temperature=cfg.temperature)
            texts, labels = method.texts[d], self.targets.labels(d)[batch.index]
            tau, smoothing = cfg.text_temperature, cfg.smoothing
            terms["i2tce"] += image_to_text(mapped[0], texts, labels, temperature=tau, smoothing=smoothing)
        return terms
