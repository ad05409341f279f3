r"""What TPSNet, UEM and CLAIR train: a linear map for each of three frozen views of an image.

A frozen CLIP looks at the views v of an image (``backbone.VIEWS``: the image itself, its **phase drawing**,
its **figure and ground**). Each vector is averaged with that of the mirror image, and the mean of its domain
is taken off. One matrix W for each view, shared by both domains and zero at the start, then maps it:

.. math:: z_v \mapsto \frac{z_v + z_v W_v}{\lVert z_v + z_v W_v\rVert}, \qquad
          z = (\sqrt{\omega_1} z_1, \sqrt{\omega_2} z_2, \sqrt{\omega_3} z_3), \qquad \sum_v \omega_v = 1

so that the cosine of two images is the weighted mean of those of their views. The weights ω are the
reliabilities of the views, by how often they agree (``targets.agreement``). No tower is trained: images are
encoded before training alone, and a training takes a minute.

All of it is ours (INFERRED). UEM's paper fine-tunes a tower; what those of TPSNet and CLAIR train was not at
hand in full. On the embedded images what a tower learns in this time is lost after re-ranking, and what a map
learns is not.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from tpsnet.backbone import VIEWS, Backbone, MoCo, view_vectors
from tpsnet.methods.base import Method
from tpsnet.settings import Settings
from tpsnet.targets import side_by_side, view_weights
from tpsnet.types import Images

Views = list[list[Float[Tensor, "_ dim"]]]  # by domain, then by view


@dataclass(frozen=True, kw_only=True)
class ViewsConfig(Settings):
    """Which views a method looks at.

    Attributes:
        phase_prior: Whether the phase drawing is a view (ablation switch).
        figure_view: Whether figure and ground are a view (ablation switch).
    """

    phase_prior: bool = True
    figure_view: bool = True

    @property
    def views(self) -> list[str]:
        """Their names, keys of ``backbone.VIEWS``."""
        left_out = {"phase drawing": not self.phase_prior, "figure and ground": not self.figure_view}
        return [name for name in VIEWS if not left_out.get(name)]


class ViewMaps(Method):
    """A method whose embedding is its views, mapped, side by side.

    Its config is a ``ViewsConfig``; its targets have ``views``, what ``prepare_views`` gives.

    Args:
        backbone: A CLIP or a MoCo-v2 network; it stays frozen.
        cfg: The config.
        seed: Seed of whatever a method draws.

    Attributes:
        maps: the matrices W, one for each view.
        weights: the weights of the views.
        offsets: what is taken off the vectors of each domain and view, (2, view, dim).
    """

    def __init__(self, backbone: Backbone | MoCo, cfg: ViewsConfig, seed: int = 0) -> None:
        super().__init__(backbone, cfg, seed)
        dim, number = backbone.dim, len(cfg.views)
        self.maps = nn.ParameterList(torch.zeros(dim, dim) for _ in range(number))
        self.register_buffer("weights", torch.full((number,), 1 / number))
        self.register_buffer("offsets", torch.zeros(2, number, dim))

    def prepare_views(self, images: Sequence[Images], neighbours: int, share: float) -> Views:
        """Centred vectors of every view of the training images; keeps the centres, and weighs the views.

        Args:
            images: The images of both domains.
            neighbours: Number of neighbours in each domain, for the graph that weighs the views.
            share: Share α of its diffusion.
        """
        looks = [self._vectors(part) for part in images]
        centres = [self.centres(*view) for view in zip(*looks, strict=True)]
        self.offsets.copy_(torch.stack(centres, dim=1))
        views = [self._centred(rows, d) for d, rows in enumerate(looks)]
        self.weights.copy_(view_weights(views, neighbours, share))
        return views

    def centres(
        self, first: Float[Tensor, "n dim"], second: Float[Tensor, "m dim"]
    ) -> Float[Tensor, "2 dim"]:
        """What is taken off the vectors of a view in either domain: their mean; a method may know better."""
        return torch.stack([first.mean(dim=0), second.mean(dim=0)])

    def mapped(self, views: Sequence[Float[Tensor, "batch dim"]]) -> list[Float[Tensor, "batch dim"]]:
        """Each view through its map: L2-normalised rows."""
        return apply_maps(views, self.maps)

    def join(self, views: Sequence[Float[Tensor, "batch dim"]]) -> Float[Tensor, "batch views_dim"]:
        """The embedding z of mapped views."""
        return side_by_side(views, self.weights)

    def forward(self, domain: int, index: Int[Tensor, " batch"]) -> Float[Tensor, "batch views_dim"]:
        """Embeddings of training images, with gradient.

        Args:
            domain: Their domain, 0 or 1.
            index: Their positions in it.
        """
        return self.join(self.mapped(self.training_views(domain, index)))

    def training_views(self, domain: int, index: Int[Tensor, " batch"]) -> list[Float[Tensor, "batch dim"]]:
        """The views of training images before the maps."""
        return [z[index.to(z.device)] for z in self.targets.views[domain]]

    @torch.no_grad()
    def embed(self, images: Images, domain: str | None = None) -> Float[Tensor, "n views_dim"]:
        """See ``Method.embed``."""
        d = self.domain_index(domain or images.name)
        known = self.images is not None and images is self.images[d]  # as large data outgrow what is kept
        views = self.targets.views[d] if known else self._centred(self._vectors(images), d)
        return self.embedding(views, d).cpu()

    @torch.no_grad()
    def embed_texts(self, texts: Sequence[str], domain: str) -> Float[Tensor, "text views_dim"]:
        """See ``Method.embed_texts``: each view is asked with the same text, by its own map."""
        rows = super().embed_texts(texts, domain).to(self.device)
        return self.embedding([rows] * len(self.maps), self.domain_index(domain)).cpu()

    def embedding(self, views: Sequence[Float[Tensor, "n dim"]], domain: int) -> Float[Tensor, "n views_dim"]:
        """What an embedding is made of, once trained; a method may add to it.

        Args:
            views: Centred vectors of every view.
            domain: Their domain, 0 or 1.
        """
        return self.join(self.mapped(views))

    def _vectors(self, images: Images) -> list[Float[Tensor, "n dim"]]:
        return [view_vectors(self.given, name, images) for name in self.cfg.views]

    def _centred(self, rows: Sequence[Float[Tensor, "n dim"]], domain: int) -> list[Float[Tensor, "n dim"]]:
        return [F.normalize(z - mean, dim=1) for z, mean in zip(rows, self.offsets[domain], strict=True)]


def apply_maps(
    views: Sequence[Float[Tensor, "batch dim"]], maps: Iterable[Float[Tensor, "dim dim"]]
) -> list[Float[Tensor, "batch dim"]]:
    """Each view through the map W that is its own: z + zW at unit length."""
    return [F.normalize(z + z @ w, dim=1) for z, w in zip(views, maps, strict=True)]
