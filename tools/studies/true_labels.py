"""Two oracles as methods: they train with the true labels, which no method may see.

Both keep a prototype for each class of both domains, which starts at the class's mean CLIP vector, and draw
the embeddings to them. ``Adapter`` learns a linear residual on the frozen vectors, ``FullTuning`` the whole
image tower.
"""

import copy
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from tpsnet.backbone import Backbone, autocast, embed_all
from tpsnet.losses import prototype_contrast
from tpsnet.methods import Method, Stage
from tpsnet.targets import class_means
from tpsnet.types import Batch, Images


@dataclass(frozen=True)
class TrueLabelsConfig:
    """Config of an oracle.

    Attributes:
        epochs: Length of the training in epochs.
        batch_size: Images of each domain in a step.
        lr: Learning rate of what moves the embeddings.
        prototype_lr: Learning rate of the prototypes.
        temperature: Softmax temperature of the loss; must be positive.
    """

    epochs: int
    batch_size: int
    lr: float
    prototype_lr: float = 3e-3
    temperature: float = 0.1


class TrueLabelsStage(Stage):
    """Every image of both domains against the prototype of its class."""

    name = "true labels"
    weights = {"pce": 1.0}  # noqa: RUF012

    def __init__(self, method: "TrueLabels") -> None:
        self.method, self.cfg, self.views = method, method.cfg, method.views
        self.epochs, self.batch_size = self.cfg.epochs, self.cfg.batch_size

    def parameters(self) -> list[dict]:
        """What moves the embeddings, and the prototypes."""
        prototypes = {"params": [self.method.prototypes], "lr": self.cfg.prototype_lr}
        return [{"params": self.method.movers(), "lr": self.cfg.lr}, prototypes]

    def losses(self, first: Batch, second: Batch) -> dict[str, Tensor]:
        """The prototype contrast over both domains."""
        method, both = self.method, (first, second)
        z = torch.cat([method.encode(batch) for batch in both])
        labels = torch.cat([method.oracle[batch.domain][batch.index] for batch in both])
        prototypes = F.normalize(method.prototypes, dim=1)
        votes = F.one_hot(labels, len(prototypes)).to(z.dtype)
        return {"pce": prototype_contrast(z, prototypes, votes, temperature=self.cfg.temperature)}


class TrueLabels(Method):
    """What both oracles share.

    Attributes:
        oracle: true labels of both domains, rows of the prototypes; to be set before ``prepare``.
        frozen: CLIP vectors of the training images of both domains.
        views: how many augmented views the stage needs.
    """

    views: int
    oracle: tuple[Int[Tensor, " a"], Int[Tensor, " b"]]

    def prepare(self, images: tuple[Images, Images]) -> None:
        """Start the prototypes at the class means."""
        super().prepare(images)
        self.frozen = [embed_all(self.given.encode_image, x, device=self.device) for x in images]
        labels = torch.cat(self.oracle)
        self.prototypes = nn.Parameter(class_means(torch.cat(self.frozen), labels, int(labels.max()) + 1)[0])

    def stages(self) -> list[Stage]:
        """The one stage."""
        return [TrueLabelsStage(self)]

    def movers(self) -> list[nn.Parameter]:
        """Parameters that move the embeddings."""
        raise NotImplementedError

    def encode(self, batch: Batch) -> Float[Tensor, "batch dim"]:
        """L2-normalised rows of a batch, with gradient."""
        raise NotImplementedError


class Adapter(TrueLabels):
    """A linear residual on the frozen vectors, which starts at zero."""

    name, views = "adapter", 0

    def __init__(self, backbone: Backbone, cfg: TrueLabelsConfig, seed: int = 0) -> None:
        super().__init__(backbone, cfg, seed)
        self.residual = nn.Parameter(torch.zeros(backbone.dim, backbone.dim))

    def movers(self) -> list[nn.Parameter]:
        """The residual."""
        return [self.residual]

    def encode(self, batch: Batch) -> Float[Tensor, "batch dim"]:
        """The frozen vectors of a batch, moved."""
        return self._moved(self.frozen[batch.domain][batch.index])

    @torch.no_grad()
    def embed(self, images: Images, domain: str | None = None) -> Float[Tensor, "n dim"]:
        """See ``Method.embed``; both domains are moved alike."""
        return self._moved(embed_all(self.given.encode_image, images, device=self.device))

    def _moved(self, z: Float[Tensor, "n dim"]) -> Float[Tensor, "n dim"]:
        return F.normalize(z + z @ self.residual, dim=1)


class FullTuning(TrueLabels):
    """The image tower, fine-tuned on augmented views."""

    name, views = "full", 1

    def __init__(self, backbone: Backbone, cfg: TrueLabelsConfig, seed: int = 0) -> None:
        super().__init__(backbone, cfg, seed)
        self.backbone = copy.deepcopy(backbone)

    def movers(self) -> list[nn.Parameter]:
        """The image tower."""
        return list(self.backbone.tower.parameters())

    def encode(self, batch: Batch) -> Float[Tensor, "batch dim"]:
        """The view of a batch through the tower."""
        with autocast(self.device):
            return self.backbone.encode_image(batch.view1).float()

    def embed(self, images: Images, domain: str | None = None) -> Float[Tensor, "n dim"]:
        """See ``Method.embed``; one tower serves both domains."""
        return embed_all(self.eval().backbone.encode_image, images, device=self.device)
