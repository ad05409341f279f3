"""The contract of every method: prepare, train stage by stage, embed, and reject what has no match.

A method is a module that costs little to make. ``fit`` hands it the training images once, through
``prepare``; what only training needs then lives in ``targets`` and is no part of the trained artefact.
"""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from tpsnet.backbone import Backbone, MoCo, class_texts
from tpsnet.data import label, style_of
from tpsnet.errors import InputError
from tpsnet.targets import Rejection, reject_unreturned
from tpsnet.types import Batch, Images

# What any text is compared with: the mean of these says "text" and "this style", and little of a class. Of
# three lists this one found most on the embedded line and rendered domains, by their labels.
NEUTRAL = (
    *("animal", "person", "plant", "food", "drink", "vehicle", "building", "tool", "furniture", "garment"),
    *("toy", "instrument", "machine", "body part", "landscape", "symbol"),
)


class Stage:
    """One phase of training. What passes between its callbacks are its attributes.

    Attributes:
        name: shown in logs, unique within a method.
        epochs: passes over the longer domain.
        weights: factor of each loss; the optimised loss is the weighted sum.
        views: how many augmented views a batch needs (0: indices only).
        batch_size: images of each domain in a step.
    """

    name: str
    epochs: int
    weights: Mapping[str, float]
    views: int
    batch_size: int

    def parameters(self) -> Sequence[Mapping[str, object]]:
        """Optimiser parameter groups, each ``{"params": [...], "lr": float}``."""
        raise NotImplementedError

    def begin_epoch(self, epoch: int) -> dict[str, float]:
        """Called before an epoch, e.g. to renew pseudo-labels; returns shares in [0, 1] for the log."""
        return {}

    def losses(self, first: Batch, second: Batch) -> dict[str, Tensor]:
        """A pair of batches to its named scalar losses."""
        raise NotImplementedError

    def after_step(self) -> None:
        """Called after every optimiser step."""

    def finish(self) -> None:
        """Called once after the last epoch, before anything is written."""


class Method(nn.Module):
    """What ``fit`` trains and ``load_trained`` brings back.

    Args:
        backbone: A CLIP or MoCo-v2 network; it stays as it is.
        cfg: The method's config, a frozen dataclass.
        seed: Seed of clusters, new layers, batches and augmentation.

    Attributes:
        name: its key in ``METHODS``.
        domains: names of the two trained domains; empty before ``prepare``.
        images: the training images; ``None`` before ``prepare``, and in a method that was loaded.
        targets: what only training needs (features, pseudo-labels, memory banks); ``None`` likewise.
    """

    name: str

    def __init__(self, backbone: Backbone | MoCo, cfg: object, seed: int = 0) -> None:
        super().__init__()
        self.cfg, self.seed, self.domains, self.images = cfg, seed, (), None
        self.targets: nn.Module | None = None
        # In a tuple, so that it is no submodule: it is never trained or saved.
        self._given = (backbone.eval(),)

    @property
    def given(self) -> Backbone | MoCo:
        """The backbone as it was loaded."""
        return self._given[0]

    @property
    def device(self) -> torch.device:
        """Where the method computes."""
        return self.given.mean.device

    @classmethod
    def check(cls, backbone: Backbone | MoCo, cfg: object, images: tuple[Images, Images]) -> None:
        """Hold a config to what the backbone and the training images allow, before anything is made of it.

        Args:
            backbone: The backbone.
            cfg: The method's config.
            images: The images of both domains.

        Raises:
            InputError: a setting asks for more than there is; by default none does.
        """

    def prepare(self, images: tuple[Images, Images]) -> None:
        """Look at the training images: means, clusters, memory banks. ``fit`` calls it.

        Args:
            images: The images of both domains, without labels.

        Raises:
            InputError: see ``check``.
        """
        self.check(self.given, self.cfg, images)
        self.images, self.domains = images, tuple(x.name for x in images)

    def stages(self) -> list[Stage]:
        """What to train, in order; nothing by default. Called after ``prepare``."""
        return []

    def embed(self, images: Images, domain: str | None = None) -> Float[Tensor, "n dim"]:
        """L2-normalised embeddings, on the CPU, also of images that training never saw.

        Args:
            images: Decoded images at the backbone's size.
            domain: Which trained domain they belong to; by default the one they are named after.

        Raises:
            InputError: the domain is neither of the two trained on.
        """
        raise NotImplementedError

    def embed_texts(self, texts: Sequence[str], domain: str) -> Float[Tensor, "text dim"]:
        """Texts as queries for embeddings of a domain, on the CPU.

        A text ("teapot") is put into the words of the domain ("a line drawing of a teapot"), and what all
        texts of that domain share is taken off, as the mean is taken off images.

        Raises:
            InputError: the space is not CLIP's, or the domain is neither of the two trained on.
        """
        self.domain_index(domain)
        clip = require_clip(self.given, f"a text query to {self.name}")
        rows, neutral = (class_texts(clip, names, style_of(domain)) for names in (texts, NEUTRAL))
        return F.normalize(rows - neutral.mean(dim=0), dim=1).cpu()

    def reject(
        self,
        query: Float[Tensor, "query dim"],
        gallery: Float[Tensor, "gallery dim"],
        *,
        seed: int,
    ) -> Rejection:
        """Which queries have no match in the gallery; the default rule is ``targets.reject_unreturned``.

        Args:
            query: Embeddings of the queries.
            gallery: Embeddings of the gallery.
            seed: Seed of the rule's k-means, if it has one.
        """
        return reject_unreturned(query, gallery)

    def domain_index(self, domain: str) -> int:
        """0 or 1.

        Raises:
            InputError: the domain is neither of the two trained on.
        """
        domain = label(domain)
        if domain not in self.domains:
            raise InputError(f"domain {domain!r} is not one of the trained pair {list(self.domains)}")
        return self.domains.index(domain)


def check_clusters(clusters: int, images: tuple[Images, Images]) -> None:
    """Hold a number of clusters of each domain to the numbers of images.

    Raises:
        InputError: a domain has fewer images than clusters are asked for.
    """
    few = min(images, key=len)
    if len(few) < clusters:
        raise InputError(
            f"domain {few.name!r} has {len(few)} images for {clusters} clusters; ask for fewer clusters"
        )


def require_clip(backbone: nn.Module, what: str) -> Backbone:
    """The backbone, if it has texts and tokens.

    Args:
        backbone: Any backbone.
        what: Who needs it, for the message.

    Raises:
        InputError: it is no CLIP.
    """
    if not isinstance(backbone, Backbone):
        raise InputError(
            f"{what} needs a CLIP, with texts and tokens; a MoCo network serves UEM and the baselines"
        )
    return backbone
