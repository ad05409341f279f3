r"""CLAIR: CLIP-aided, weakly supervised zero-shot retrieval across domains (BMVC 2025, arXiv:2508.12290).

Training sees pictures and the **names** of the seen classes, no labels. Stage 1 learns a context for the
texts on pseudo-labels; stage 2 trains visual prompts and the last groups of the tower,
:math:`L = \lambda_1 L_{ii} + \lambda_2 L_{ic} + \lambda_3 L_{id}`, each picture by its confidence; a map in
closed form, from texts alone, takes the first domain to the second.

The abstract names the five parts; equations, architecture and settings are not published, so that every one
of them is INFERRED (see ``text_labels``, ``supervised``, ``text_map``, ``visual_prompts`` and the fields of
``CLAIRConfig``). What we do on purpose:

- Training starts at the CLIP vector **less the mean of its domain's seen pictures** and moves it gently. The
  frozen one, v, stays in the embedding: the trained z stands beside it, :math:`[\sqrt{1-s}\,v, \sqrt{s}\,z]`,
  so that a similarity is the weighted mean of both, and what CLIP knows of unseen classes is kept.
- The map applies to both, since z has not left CLIP's space, and to the first domain alone: one embedding of
  each domain then serves both directions.
- Texts are centred as pictures are, by their mean over the seen names.
"""

import copy
import dataclasses

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from tpsnet.backbone import Backbone, autocast, embed_all
from tpsnet.losses import inter_domain, inter_instance, prototype_contrast
from tpsnet.methods.clair_config import CLAIRConfig
from tpsnet.methods.clair_texts import DomainTexts, centred
from tpsnet.methods.visual_prompts import VisualPrompts, first_look
from tpsnet.targets import apply_map, class_means, kmeans, momentum_update, refine, text_votes
from tpsnet.types import Batch, Images, InputError, Stage


class CLAIR(nn.Module):
    """The network, its texts, its pseudo-labels and its two stages.

    Args:
        backbone: the CLIP; a copy of it is trained, the one given stays as it is.
        first: pictures of seen classes of one domain, without labels; the map takes this domain to the other.
        second: those of the other.
        cfg: settings, with the names of the seen classes.
        given: labels of both domains, rows of the names, instead of pseudo-labels; to measure the headroom.

    Attributes:
        pseudo: refined pseudo-labels of both domains, as the losses use them.

    Raises:
        InputError: no names or a doubled one; a rank of the map that the vocabulary does not span; the
            backbone is no CLIP.
    """

    def __init__(
        self,
        backbone: nn.Module,
        first: Images,
        second: Images,
        cfg: CLAIRConfig,
        given: tuple[Int[Tensor, " a"], Int[Tensor, " b"]] | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(backbone, Backbone):
            raise InputError("CLAIR needs a CLIP, with texts and tokens; a MoCo network serves UEM alone")
        if len(set(cfg.names)) < len(cfg.names):
            raise InputError("the list of seen classes names a class twice; name each once")
        self.cfg, self.domains, self._given = cfg, (first.name, second.name), given
        self.pair = (first, second)
        self.backbone = copy.deepcopy(backbone).eval()
        self._unlocked = self.backbone.unlock(cfg.tower_groups)
        self.frozen = copy.deepcopy(self.backbone.tower).requires_grad_(False)
        self.device = backbone.mean.device
        self.texts = DomainTexts(self.backbone, self.domains, cfg)
        self.texts.cross_domain_map()  # no names, or a rank that cannot be had, end here
        looks = [first_look(self.backbone, images) for images in self.pair]
        self.register_buffer("offsets", torch.stack([look.vectors.mean(dim=0) for look in looks]))
        self._vectors = [F.normalize(x.vectors - m, dim=1) for x, m in zip(looks, self.offsets, strict=True)]
        self._clusters = [self._cluster(vectors) for vectors in self._vectors]
        with torch.random.fork_rng():
            torch.manual_seed(cfg.seed)
            self.prompts = VisualPrompts(looks, cfg.visual_prompts) if cfg.visual_prompts else None
        self.register_buffer("prototypes", torch.zeros(len(cfg.names), backbone.dim))
        self.to(self.device)
        self._renew(learned=False)

    def stages(self) -> list[Stage]:
        """The context of the texts (if there is one), then visual prompts and tower."""
        cfg, context = self.cfg, list(self.texts.parameters())
        prompts = list(self.prompts.parameters()) if self.prompts else []
        groups = [{"params": prompts, "lr": cfg.prompt_lr}, {"params": self._unlocked, "lr": cfg.tower_lr}]
        texts = Stage(
            name="texts",
            epochs=cfg.text_epochs,
            parameters=[{"params": context, "lr": cfg.text_lr}],
            losses=self._text_losses,
            weights={"i2t": 1.0},
            views=0,
            batch_size=512,
            refresh=self._begin_text_epoch,
        )
        images = Stage(
            name="images",
            epochs=cfg.epochs,
            parameters=[group for group in groups if group["params"]],
            losses=self._image_losses,
            weights={
                "instance": cfg.instance_weight,
                "cluster": cfg.cluster_weight,
                "domain": cfg.domain_weight,
            },
            views=2,
            batch_size=cfg.batch_size,
            refresh=self._begin_image_epoch,
            after_step=self._follow,
        )
        return [texts, images] if context else [images]

    # Stage 1

    def _begin_text_epoch(self, epoch: int) -> dict[str, float]:
        self._tokens = [self.texts.prompt.tokens(self.cfg.names, name) for name in self.domains]
        return self._renew(learned=False)

    def _text_losses(self, first: Batch, second: Batch) -> dict[str, Tensor]:
        """Each picture picks its text among those that the batch holds, by its confidence."""
        cost = torch.zeros((), device=self.device)
        for batch in (first, second):
            d, index = batch.domain, batch.index
            present, row = self.pseudo[d].labels[index].unique(return_inverse=True)
            texts = self.texts.prompt(self._tokens[d][present.cpu()])
            votes = F.one_hot(row, len(present)) * self.pseudo[d].confidence[index, None]
            z = self._vectors[d][index]
            cost = cost + prototype_contrast(z, centred(texts), votes, temperature=self.cfg.vote_temperature)
        return {"i2t": cost}

    # Stage 2

    def _begin_image_epoch(self, epoch: int) -> dict[str, float]:
        """Renew pseudo-labels from the learned texts; at first prototypes too, from all pictures."""
        shares = self._renew(learned=True)
        if epoch == 0:
            self.eval()
            rows = [
                embed_all(lambda x, d=d: self._encode(x, d), images, device=self.device).to(self.device)
                for d, images in enumerate(self.pair)
            ]
            weighted = torch.cat([z * p.confidence[:, None] for z, p in zip(rows, self.pseudo, strict=True)])
            labels = torch.cat([p.labels for p in self.pseudo])
            self.prototypes.copy_(class_means(weighted, labels, len(self.prototypes))[0])
        return shares

    def _follow(self) -> None:
        """Move the prototypes towards the pictures of the step."""
        means, counts = class_means(*self._latest, len(self.prototypes))
        self.prototypes.copy_(momentum_update(self.prototypes, means, counts, self.cfg.prototype_momentum))

    def _image_losses(self, first: Batch, second: Batch) -> dict[str, Tensor]:
        tau = self.cfg.temperature
        sides = []
        for batch in (first, second):
            z = self._encode(torch.cat([batch.view1, batch.view2]), batch.domain)
            found = self.pseudo[batch.domain]
            sides.append((z, found.labels[batch.index].repeat(2), found.confidence[batch.index].repeat(2)))
        weighted, labels = (
            torch.cat(x) for x in zip(*((z * w[:, None], y) for z, y, w in sides), strict=True)
        )
        self._latest = weighted.detach(), labels
        zero = torch.zeros((), device=self.device)
        terms = {"instance": zero, "cluster": zero, "domain": zero}
        for (z, labels, confidence), (other, other_labels, _) in (sides, sides[::-1]):
            votes = F.one_hot(labels, len(self.prototypes)) * confidence[:, None]
            across = inter_domain(z, labels, confidence, other, other_labels, temperature=tau)
            terms = {
                "instance": terms["instance"] + inter_instance(z, labels, confidence, temperature=tau),
                "cluster": terms["cluster"] + prototype_contrast(z, self.prototypes, votes, temperature=tau),
                "domain": terms["domain"] + across,
            }
        return terms

    # Pseudo-labels

    def _cluster(self, vectors: Float[Tensor, "n dim"]) -> Int[Tensor, " n"]:
        k = min(self.cfg.clusters or len(self.cfg.names), len(vectors))
        return kmeans(vectors, k, seed=self.cfg.seed).assignment.to(self.device)

    def _renew(self, *, learned: bool) -> dict[str, float]:
        """Pseudo-labels of both domains from texts that are centred like the pictures; who was repaired."""
        cfg, self.pseudo = self.cfg, []
        trusted = cfg.refined and self._given is None
        agreement, quantile, doubt = (cfg.agreement, cfg.doubted, cfg.doubt) if trusted else (0.0, 0.0, 1.0)
        for d, name in enumerate(self.domains):
            texts = self.texts(cfg.names, name) if learned else self.texts.written(cfg.names, name)
            votes = text_votes(self._vectors[d], centred(texts), cfg.vote_temperature)
            if self._given is not None:
                votes = F.one_hot(self._given[d].to(self.device), len(cfg.names)).to(votes.dtype)
            found = refine(votes, self._clusters[d], agreement=agreement, quantile=quantile, doubt=doubt)
            if not cfg.refined:
                found = dataclasses.replace(found, confidence=torch.ones_like(found.confidence))
            self.pseudo.append(found)
        kinds = ("kept", "corrected", "doubted")
        return {k: float(torch.cat([getattr(p, k) for p in self.pseudo]).double().mean()) for k in kinds}

    # Embeddings

    def _encode(self, images: Float[Tensor, "batch 3 size size"], domain: int) -> Float[Tensor, "batch dim"]:
        """The trained vectors, unit rows."""
        with autocast(self.device):
            vectors, tokens = self.backbone.encode_tokens(images)
        centred_vectors = vectors - self.offsets[domain]
        if self.prompts is None:
            return F.normalize(centred_vectors, dim=1)
        with torch.autocast(self.device.type, enabled=False):  # ``embed_all`` has switched it on
            return F.normalize(centred_vectors + self.prompts(tokens, domain), dim=1)

    def embed(self, images: Images) -> Float[Tensor, "n twice"]:
        """Unit rows, on the CPU: the frozen CLIP vector beside the trained one, both mapped.

        Raises:
            InputError: the domain is neither of the two trained on.
        """
        if images.name not in self.domains:
            raise InputError(f"domain {images.name!r} is not one of the trained pair {list(self.domains)}")
        self.eval()
        domain, share = self.domains.index(images.name), self.cfg.trained_share
        to_other = self.texts.cross_domain_map() if domain == 0 else None

        def both(x: Tensor) -> Tensor:
            start = self.backbone.encode_image(x, self.frozen) - self.offsets[domain]
            halves = F.normalize(start, dim=1), self._encode(x, domain)
            if to_other is not None:
                halves = [apply_map(half, to_other) for half in halves]
            return torch.cat([(1 - share) ** 0.5 * halves[0], share**0.5 * halves[1]], dim=1)

        with torch.no_grad():
            return embed_all(both, images, device=self.device)
