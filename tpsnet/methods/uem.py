r"""UEM: unified, enhanced, matched; retrieval under any label spaces (NeurIPS 2024, arXiv:2403.05690).

Stage 1 (IDSE) learns each domain for itself, on a memory bank and on the unified prototypes:
:math:`L = \sum_d L_{INCE} + \alpha(e) (L_{PNCE} + L_{SEL})`. Stage 2 (CDSM) brings the domains together:
:math:`L = L_{DAL} + \sum_d L_{SPR} + L_{SN^2M}`. No label and no class name is seen.

Ours differs:

- The encoder is CLIP's image tower (or a MoCo-v2 ResNet-50), fine-tuned by AdamW; the paper trains the latter
  by SGD with a learning rate of 2e-4.
- An embedding is the tower's vector **less the mean over both domains** before training, at unit length. What
  all vectors of a CLIP share leaves little for a softmax at τ = 0.07 to tell apart; what lies between the
  domains stays, for eq. 8 and stage 2. After training the untrained vector is added again, as in TPSNet.
- Embeddings, memories, and prototypes in losses and neighbour search are unit rows; prototypes are
  translated and merged as the means that k-means gives (INFERRED; the paper does not say what is normalised).
- Prototypes merge by a local limit (see ``targets.unified``).
- Every term is a mean (INFERRED, see the losses).
- β is the paper's, for far fewer epochs: memories move little, and α rises in steep steps.
- As for all methods here: every stage has its own AdamW, warm-up and cosine, and gradients are clipped.
- The number of clusters is fixed once, by the elbow of the first memories; k-means then goes on from its last
  centres, once an epoch and only while α counts (INFERRED; the paper names neither).
"""

import copy
import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from tpsnet.backbone import autocast, embed_all
from tpsnet.losses import (
    domain_adversary,
    instance_contrast,
    nearest_neighbour_contrast,
    prototype_contrast,
    reverse_gradient,
    semantic_enhancement,
    structure_preservation,
    switchable_matching,
)
from tpsnet.methods.uem_config import UEMConfig
from tpsnet.targets import Unified, elbow, grid, kmeans, match, remember, translate, unify
from tpsnet.types import Batch, Images, InputError, Stage


def alpha(epoch: int, epochs: int) -> float:
    """Weight of the prototypes in stage 1, eq. 10: 1 / (1 + exp(E/2 − e)); epochs count from 0 (INFERRED)."""
    return 0.5 + 0.5 * math.tanh(0.5 * (epoch - 0.5 * epochs))  # the same, and it cannot overflow


class UEM(nn.Module):
    """The encoder, its memories and prototypes, and its two stages.

    Args:
        backbone: a CLIP or a MoCo-v2 ResNet-50; a copy of it is fine-tuned.
        first: pictures of one domain, without labels.
        second: pictures of the other.
        cfg: settings.

    Raises:
        InputError: a domain has fewer pictures than clusters are asked for.
    """

    def __init__(self, backbone: nn.Module, first: Images, second: Images, cfg: UEMConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.backbone = copy.deepcopy(backbone).eval()
        self.start = copy.deepcopy(self.backbone.tower).requires_grad_(False)
        self.frozen = copy.deepcopy(self.start)  # becomes the tower as stage 1 leaves it
        self.device, dim = backbone.mean.device, backbone.dim
        with torch.random.fork_rng():
            torch.manual_seed(cfg.seed)
            self.classifier = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, 1))
        pair, encode = (first, second), self.backbone.encode_image
        means = torch.stack([embed_all(encode, x, device=self.device).mean(dim=0) for x in pair])
        self.register_buffer("offset", means.mean(dim=0).to(self.device))
        for d, images in enumerate(pair):
            memory = embed_all(self, images, device=self.device).to(self.device)
            self.register_buffer(f"memory{d}", memory)
            self.register_buffer(f"clusters{d}", self._first_clusters(images.name, memory))
        self.unified: list[Unified] = []
        self.to(self.device)

    def _first_clusters(self, name: str, memory: Tensor) -> Tensor:
        cfg = self.cfg
        k = cfg.clusters or elbow(memory, grid(len(memory)), seed=cfg.seed).k
        if k > len(memory):
            raise InputError(
                f"domain {name!r} has {len(memory)} pictures for {k} clusters; ask for fewer clusters"
            )
        return kmeans(memory, k, seed=cfg.seed).centres

    def train(self, mode: bool = True) -> "UEM":
        """The frozen copies are never in training mode."""
        super().train(mode)
        self.start.eval()
        self.frozen.eval()
        return self

    def stages(self) -> list[Stage]:
        """Intra-domain semantic-enhanced learning, then cross-domain semantic-matched learning."""
        cfg = self.cfg
        tower = {"params": list(self.backbone.tower.parameters()), "lr": cfg.encoder_lr}
        return [
            Stage(
                name="idse",
                epochs=cfg.idse_epochs,
                parameters=[tower],
                losses=self._idse_losses,
                weights={"ince": 1.0, "pnce": 1.0, "sel": 1.0},
                views=1,
                batch_size=cfg.batch_size,
                refresh=self._begin_idse_epoch,
                after_step=self._remember,
            ),
            Stage(
                name="cdsm",
                epochs=cfg.cdsm_epochs,
                parameters=[
                    tower,
                    {"params": list(self.classifier.parameters()), "lr": cfg.classifier_lr},
                ],
                losses=self._cdsm_losses,
                weights={"dal": 1.0, "spr": 1.0, "sn2m": 1.0},
                views=1,
                batch_size=cfg.batch_size,
                refresh=self._begin_cdsm_epoch,
                after_step=self._remember,
            ),
        ]

    # Stage 1

    def _begin_idse_epoch(self, epoch: int) -> dict[str, float]:
        self._alpha = alpha(epoch, self.cfg.idse_epochs)
        if self._alpha < self.cfg.alpha_floor:
            self.unified = []
            return {"alpha": self._alpha}
        return {"alpha": self._alpha, **self._renew_prototypes()}

    def _idse_losses(self, first: Batch, second: Batch) -> dict[str, Tensor]:
        tau = self.cfg.temperature
        terms = {name: torch.zeros((), device=self.device) for name in ("ince", "pnce", "sel")}
        for z, batch in zip(self._encode(first, second), (first, second), strict=True):
            index, own = (i.to(z.device) for i in batch.index.unique(return_inverse=True))
            terms["ince"] += instance_contrast(z, self._memory(batch.domain)[index], own, temperature=tau)
            if not self.unified:
                continue
            prototypes = self._prototypes(batch.domain)
            votes = F.one_hot(self._labels[batch.domain][batch.index], len(prototypes)).to(z.dtype)
            terms["pnce"] += self._alpha * prototype_contrast(z, prototypes, votes, temperature=tau)
            if self.cfg.sel:
                terms["sel"] += self._alpha * semantic_enhancement(z, prototypes, temperature=tau)
        return terms

    # Stage 2

    def _begin_cdsm_epoch(self, epoch: int) -> dict[str, float]:
        if epoch == 0:
            self.frozen.load_state_dict(self.backbone.tower.state_dict())
        return self._renew_prototypes()

    def _cdsm_losses(self, first: Batch, second: Batch) -> dict[str, Tensor]:
        both = self._encode(first, second)
        logits = self.classifier(reverse_gradient(torch.cat(both)))[:, 0].split([len(z) for z in both])
        zero = torch.zeros((), device=self.device)
        terms = {"dal": domain_adversary(*logits), "spr": zero.clone(), "sn2m": zero.clone()}
        for z, batch in zip(both, (first, second), strict=True):
            if self.cfg.spda:
                with torch.no_grad(), autocast(self.device):
                    before = self(batch.view1, self.frozen)
                terms["spr"] += structure_preservation(z, before)
            terms["sn2m"] += self._matching(z, batch.domain)
        return terms

    def _matching(self, z: Float[Tensor, "batch dim"], domain: int) -> Float[Tensor, ""]:
        """L_SN²M of one domain's embeddings against the other domain."""
        there, tau = 1 - domain, self.cfg.temperature
        memory, prototypes = self._memory(there), self._prototypes(there)
        own = F.normalize(self._clusters(domain), dim=1)
        found = match(z.detach(), own, self.unified[there].other, prototypes, memory)
        if not self.cfg.sn2m:
            return nearest_neighbour_contrast(z, memory, found.neighbour, temperature=tau)
        return switchable_matching(
            z, prototypes, memory, found.row, found.neighbour, found.agree, temperature=tau
        )

    # Both stages

    def _renew_prototypes(self) -> dict[str, float]:
        """Clusters go on from the last ones; each domain's unified set follows; integers name the rows.

        The note is the share of the fewer clusters that merged.
        """
        memories = [self._memory(d) for d in range(2)]
        assigned = []
        for d, memory in enumerate(memories):
            found = kmeans(memory, len(self._clusters(d)), seed=self.cfg.seed, init=self._clusters(d))
            self._clusters(d).copy_(found.centres)
            assigned.append(found.assignment)
        self.unified, self._labels = [], []
        for d in range(2):
            moved = translate(self._clusters(1 - d), memories[1 - d], memories[d])
            self.unified.append(unify(self._clusters(d), moved, self.cfg.merge))
            self._labels.append(assigned[d])
        return {"merged": float(self.unified[0].merged.sum()) / min(self.n_clusters)}

    def _encode(self, first: Batch, second: Batch) -> list[Float[Tensor, "batch dim"]]:
        """Embeddings of both views; what the memories will take in after the step."""
        with autocast(self.device):
            both = [self(b.view1) for b in (first, second)]
        self._seen = [(b.domain, b.index, z.detach()) for b, z in zip((first, second), both, strict=True)]
        return both

    def _remember(self) -> None:
        for domain, index, z in self._seen:
            remember(self._memory(domain), index.to(self.device), z, self.cfg.memory_momentum)

    def _prototypes(self, domain: int) -> Float[Tensor, "row dim"]:
        return F.normalize(self.unified[domain].prototypes, dim=1)

    def _memory(self, domain: int) -> Float[Tensor, "n dim"]:
        return self.memory0 if domain == 0 else self.memory1

    def _clusters(self, domain: int) -> Float[Tensor, "c dim"]:
        return self.clusters0 if domain == 0 else self.clusters1

    @property
    def n_clusters(self) -> tuple[int, int]:
        """Number of clusters of each domain."""
        return len(self.clusters0), len(self.clusters1)

    # Embeddings

    def forward(
        self, images: Float[Tensor, "batch 3 size size"], tower: nn.Module | None = None
    ) -> Float[Tensor, "batch dim"]:
        """Unit rows of RGB images in [0, 1]; ``tower`` is a copy of the image tower, e.g. ``frozen``."""
        return F.normalize(self.backbone.encode_image(images, tower).float() - self.offset, dim=1)

    def embed(self, images: Images) -> Float[Tensor, "n dim"]:
        """Unit rows, on the CPU: the trained vectors plus ``start_weight`` times the untrained ones."""
        self.eval()
        trained = embed_all(self, images, device=self.device)
        if not self.cfg.start_weight:
            return trained
        start = embed_all(lambda x: self(x, self.start), images, device=self.device)
        return F.normalize(trained + self.cfg.start_weight * start, dim=1)
