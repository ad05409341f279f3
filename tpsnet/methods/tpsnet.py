r"""TPSNet: text-phase synergy with dual priors (CVPR 2026, arXiv:2603.12711).

Stage 1 learns one CLIP prompt per cluster and domain, :math:`L = L_{i2t} + L_{t2i}`, CLIP frozen. Stage 2
trains the image side with :math:`L = \alpha L_{pce} + \beta L_{i2tce}` on momentum prototypes and on the
frozen prompts. Neither stage sees a label or a class name.

The paper's full text was not at hand. What is INFERRED is marked at its field in ``TPSNetConfig``; what we do
differently on purpose:

- Everything starts from the CLIP vector **less the mean of its domain**, the part that only says how the
  domain is drawn; an untrained network is then exactly the centred floor. Training shifts the domains again,
  so the mean of each is taken off once more at its end. The start keeps its say: the two vectors are added.
- The clusters of the two domains share their numbers: one k-means runs over both centred domains, so cluster
  c means the same in either and both share a prototype. The paper clusters each domain alone
  (``joint_clusters=False``), which leaves the alignment to the text space.
- Clusters, pseudo-labels and prototypes are made from pictures averaged with their mirror images, which show
  the same, and with their neighbours in both domains. Embeddings are those of the picture alone.
"""

import copy
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from tpsnet.backbone import Backbone, DomainPrompts, PhaseEncoder, autocast, embed_all, phase_image
from tpsnet.losses import image_to_text, prototype_contrast, repair_labels, text_to_image
from tpsnet.methods.dual_prior import Fusion, Synergy
from tpsnet.methods.tpsnet_config import TPSNetConfig
from tpsnet.targets import class_means, expand, kmeans, momentum_update
from tpsnet.types import Batch, Images, InputError, Stage


class TPSNet(nn.Module):
    """The network, its pseudo-labels and its two stages.

    Args:
        backbone: the CLIP; a copy of it is fine-tuned, the one given stays as it is.
        first: pictures of one domain, without labels.
        second: pictures of the other.
        cfg: settings.

    Raises:
        InputError: a domain has fewer pictures than clusters are asked for; the backbone is no CLIP.
    """

    def __init__(self, backbone: nn.Module, first: Images, second: Images, cfg: TPSNetConfig) -> None:
        super().__init__()
        if not isinstance(backbone, Backbone):
            raise InputError("TPSNet needs a CLIP, with texts and tokens; a MoCo network serves UEM alone")
        self.cfg, self.pair = cfg, (first, second)
        self.backbone = copy.deepcopy(backbone).eval()
        self.frozen = copy.deepcopy(self.backbone.tower).requires_grad_(False)
        self.device = backbone.mean.device
        dim = backbone.dim
        with torch.random.fork_rng():
            torch.manual_seed(cfg.seed)
            self.fusion = Fusion(dim, backbone.token_dim, cfg.heads)
            self.phase = PhaseEncoder(dim) if cfg.phase_prior else None
            synergy = (dim, cfg.heads, cfg.synergy, cfg.text_temperature)
            self.synergy = Synergy(*synergy) if cfg.text_prior else None
        prompts = (DomainPrompts(self.backbone, cfg.clusters, cfg.context, cfg.seed + d) for d in range(2))
        self.prompts = nn.ModuleList(prompts) if cfg.text_prior else None
        raw = [self._both_ways(self.backbone.encode_image, x) for x in self.pair]
        self.register_buffer("offsets", torch.stack([plain.mean(dim=0) for plain, _ in raw]))
        means = zip(raw, self.offsets, strict=True)
        self.features = [F.normalize(plain + mirrored - 2 * m, dim=1) for (plain, mirrored), m in means]
        for d, labels in enumerate(self._clusters(self.features)):
            self.register_buffer(f"labels{d}", labels)
        self.register_buffer("prototypes", torch.zeros(2, cfg.clusters, dim))
        self._move_prototypes(self.features, momentum=0.0)
        self.register_buffer("shift", torch.zeros(2, dim))
        self.to(self.device)

    def _both_ways(self, encode: Callable[[Tensor], Tensor], images: Images) -> tuple[Tensor, Tensor]:
        """Vectors of the pictures and of their mirror images."""
        ways = (encode, lambda x: encode(x.flip(-1)))
        return tuple(embed_all(way, images, device=self.device).to(self.device) for way in ways)

    def _clusters(self, features: list[Tensor]) -> list[Tensor]:
        """Pseudo-labels of both domains from k-means on centred CLIP features."""
        few = min(self.pair, key=len)
        if len(few) < self.cfg.clusters:
            raise InputError(
                f"domain {few.name!r} has {len(few)} pictures for {self.cfg.clusters} clusters; "
                "ask for fewer clusters"
            )
        features = self._expanded(features)
        groups = [torch.cat(features)] if self.cfg.joint_clusters else features
        found = [kmeans(rows, self.cfg.clusters, seed=self.cfg.seed).assignment for rows in groups]
        return list(torch.cat(found).split([len(x) for x in features]))

    def _expanded(self, rows: list[Tensor]) -> list[Tensor]:
        return expand(rows, self.cfg.neighbours) if self.cfg.neighbours else rows

    def stages(self) -> list[Stage]:
        """Prompt generation (with the text prior) and the dual-prior network."""
        cfg, contexts = self.cfg, list(self.prompts.parameters()) if self.prompts else []
        prompts = Stage(
            name="prompts",
            epochs=cfg.prompt_epochs,
            parameters=[{"params": contexts, "lr": cfg.prompt_lr}],
            losses=self._prompt_losses,
            weights={"i2t": 1.0, "t2i": 1.0},
            views=0,
            batch_size=512,
            refresh=self._begin_prompt_epoch,
        )
        new = [m for m in (self.fusion, self.phase, self.synergy) if m is not None]
        network = Stage(
            name="network",
            epochs=cfg.epochs,
            parameters=[
                {"params": list(self.backbone.clip.visual.parameters()), "lr": cfg.encoder_lr},
                {"params": [p for m in new for p in m.parameters()], "lr": cfg.module_lr},
            ],
            losses=self._network_losses,
            weights={"pce": cfg.prototype_weight, "i2tce": cfg.text_weight},
            views=1,
            batch_size=cfg.batch_size,
            refresh=self._begin_network_epoch,
            finish=self._centre,
        )
        return [prompts, network] if cfg.text_prior else [network]

    # Stage 1

    def _begin_prompt_epoch(self, epoch: int) -> dict[str, float]:
        self._repair = epoch >= self.cfg.prompt_warmup
        moved = [(repair_labels(x, t) != y).double().mean() for x, t, y in self._triples()]
        return {"repaired": float(sum(moved)) / 2}

    def _prompt_losses(self, first: Batch, second: Batch) -> dict[str, Tensor]:
        terms = {"i2t": torch.zeros((), device=self.device), "t2i": torch.zeros((), device=self.device)}
        for batch in (first, second):
            images = self.features[batch.domain][batch.index]
            labels = self._labels(batch.domain)[batch.index]
            texts = self.prompts[batch.domain]()
            paired = repair_labels(images, texts) if self._repair else labels
            terms["i2t"] += image_to_text(images, texts, paired, temperature=self.cfg.prompt_temperature)
            terms["t2i"] += text_to_image(texts, images, labels, temperature=self.cfg.prompt_temperature)
        return terms

    # Stage 2

    def _begin_network_epoch(self, epoch: int) -> dict[str, float]:
        """Renew texts, pseudo-labels and momentum prototypes from the pictures and their mirror images."""
        self._texts = self.texts()
        self.eval()
        both = [
            self._both_ways(partial(self.forward, domain=d, texts=self._texts), self.pair[d])
            for d in range(2)
        ]
        vectors = self._expanded([F.normalize(plain + mirrored, dim=1) for plain, mirrored in both])
        changed = 0.0
        for d, (rows, (features, texts, labels)) in enumerate(zip(vectors, self._triples(), strict=True)):
            if epoch:
                renewed = repair_labels(rows, self.prototypes[d])
            else:
                renewed = labels if texts is None else repair_labels(features, texts)
            changed += float((renewed != labels).double().mean()) / 2
            self._labels(d).copy_(renewed)
        self._move_prototypes(vectors, self.cfg.prototype_momentum)
        return {"relabelled": changed}

    def _move_prototypes(self, vectors: list[Tensor], momentum: float) -> None:
        """Means of the pseudo-classes, over both domains where they share their clusters."""
        for members in [[0, 1]] if self.cfg.joint_clusters else [[0], [1]]:
            labels = torch.cat([self._labels(d) for d in members])
            means, counts = class_means(torch.cat([vectors[d] for d in members]), labels, self.cfg.clusters)
            self.prototypes[members] = momentum_update(self.prototypes[members[0]], means, counts, momentum)

    def _network_losses(self, first: Batch, second: Batch) -> dict[str, Tensor]:
        cfg = self.cfg
        terms = {"pce": torch.zeros((), device=self.device), "i2tce": torch.zeros((), device=self.device)}
        for batch in (first, second):
            z = self.forward(batch.view1, batch.domain, self._texts)
            labels = self._labels(batch.domain)[batch.index]
            votes = F.one_hot(labels, cfg.clusters).to(z.dtype)
            terms["pce"] += prototype_contrast(
                z, self.prototypes[batch.domain], votes, temperature=cfg.prototype_temperature
            )
            if self._texts is not None:
                terms["i2tce"] += image_to_text(
                    z,
                    self._texts[batch.domain],
                    labels,
                    temperature=cfg.text_temperature,
                    smoothing=cfg.smoothing,
                )
        return terms

    # Embeddings

    def forward(
        self,
        images: Float[Tensor, "batch 3 size size"],
        domain: int,
        texts: Float[Tensor, "2 classes dim"] | None,
    ) -> Float[Tensor, "batch dim"]:
        """I' of RGB images in [0, 1]: unit rows. ``texts`` are the prompts' embeddings, by domain."""
        with autocast(self.device):
            vector, tokens = self.backbone.encode_tokens(images)
            phase = None if self.phase is None else self.phase(phase_image(images))
        vector = F.normalize(vector.float() - self.offsets[domain], dim=1)
        fused, sequence = self.fusion(vector, tokens, phase)
        return fused if texts is None else self.synergy(fused, sequence, texts[domain])

    def embed(self, images: Images) -> Float[Tensor, "n dim"]:
        """Unit rows, on the CPU, of pictures of one of the two domains (found by its name).

        Raises:
            InputError: the domain is neither of the two trained on.
        """
        names = [x.name for x in self.pair]
        if images.name not in names:
            raise InputError(f"domain {images.name!r} is not one of the trained pair {names}")
        domain = names.index(images.name)
        trained = F.normalize(self._trained(images, domain) - self.shift[domain].cpu(), dim=1)
        if not self.cfg.start_weight:
            return trained
        start = embed_all(lambda x: self.backbone.encode_image(x, self.frozen), images, device=self.device)
        start = F.normalize(start - self.offsets[domain].cpu(), dim=1)
        return F.normalize(trained + self.cfg.start_weight * start, dim=1)

    def _trained(self, images: Images, domain: int) -> Float[Tensor, "n dim"]:
        self.eval()
        texts = self.texts()
        return embed_all(lambda x: self.forward(x, domain, texts), images, device=self.device)

    def _centre(self) -> None:
        """Keep the mean of each domain's embeddings, which ``embed`` takes off."""
        for d, images in enumerate(self.pair):
            self.shift[d] = self._trained(images, d).mean(dim=0)

    @torch.no_grad()
    def texts(self) -> Float[Tensor, "2 classes dim"] | None:
        """Embeddings of the prompts as they are now, by domain; ``None`` without the text prior."""
        return None if self.prompts is None else torch.stack([p() for p in self.prompts])

    def _labels(self, domain: int) -> Int[Tensor, " n"]:
        return self.labels0 if domain == 0 else self.labels1

    def _triples(self) -> list[tuple[Tensor, Tensor | None, Tensor]]:
        """Centred CLIP features, prompt embeddings and pseudo-labels of each domain."""
        texts = self.texts()
        return [(self.features[d], None if texts is None else texts[d], self._labels(d)) for d in range(2)]
