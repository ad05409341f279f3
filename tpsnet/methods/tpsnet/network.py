"""The network of TPSNet: frozen views of an image, and a linear map for each of them."""

import copy
from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from tpsnet.backbone import VIEWS, Backbone, MoCo, embed_with_flip
from tpsnet.methods.tpsnet.config import TPSNetConfig
from tpsnet.methods.tpsnet.neighbourhoods import Neighbourhoods, side_by_side
from tpsnet.methods.tpsnet.prompts import Prompted
from tpsnet.types import Images


class ViewNetwork(Prompted):
    """All of TPSNet but its stages.

    Args:
        backbone: A CLIP; it stays frozen.
        cfg: The config, with the number of clusters.
        seed: Seed of clusters, prompts and batches.

    Attributes:
        views: names of the views, keys of ``backbone.VIEWS``.
        maps: the matrices W, one for each view.
        weights: the weights of the views.
        offsets: mean vector of each domain and view, (2, view, dim).

    Raises:
        InputError: the number of clusters is missing; the backbone is no CLIP.
    """

    def __init__(self, backbone: Backbone | MoCo, cfg: TPSNetConfig, seed: int = 0) -> None:
        super().__init__(backbone, cfg, seed)
        left_out = {"phase drawing": not cfg.phase_prior, "figure and ground": not cfg.figure_view}
        self.views = [name for name in VIEWS if not left_out.get(name)]
        dim, number = backbone.dim, len(self.views)
        self.maps = nn.ParameterList(torch.zeros(dim, dim) for _ in self.views)
        self.register_buffer("weights", torch.full((number,), 1 / number))
        self.register_buffer("offsets", torch.zeros(2, number, dim))
        self.learn_prompts(copy.deepcopy(backbone).requires_grad_(False))
        self.to(self.device)

    def prepare(self, images: tuple[Images, Images]) -> None:
        """Look at all views, weigh them, and find everyone's neighbours; see ``Prompted.prepare``."""
        super().prepare(images)
        looks = [self._look(part) for part in images]
        self.offsets.copy_(torch.stack([torch.stack([z.mean(dim=0) for z in look]) for look in looks]))
        views = [self._centred(look, d) for d, look in enumerate(looks)]
        cfg = self.cfg
        self.targets = Neighbourhoods(views, cfg.clusters, cfg.neighbours, cfg.share, self.seed)
        self.weights.copy_(self.targets.weights)

    def forward(self, views: Sequence[Float[Tensor, "batch dim"]]) -> list[Float[Tensor, "batch dim"]]:
        """Each view through its map: L2-normalised rows."""
        return [F.normalize(z + z @ w, dim=1) for z, w in zip(views, self.maps, strict=True)]

    def join(self, mapped: Sequence[Float[Tensor, "batch dim"]]) -> Float[Tensor, "batch views_dim"]:
        """The embedding z of mapped views."""
        return side_by_side(list(mapped), self.weights)

    @torch.no_grad()
    def embed(self, images: Images, domain: str | None = None) -> Float[Tensor, "n views_dim"]:
        """See ``Method.embed``."""
        d = self.domain_index(domain or images.name)
        known = self.images is not None and images is self.images[d]  # seen before: not encoded again
        views = self.targets.views[d] if known else self._centred(self._look(images), d)
        return self.join(self(views)).cpu()

    @torch.no_grad()
    def embed_texts(self, texts: Sequence[str], domain: str) -> Float[Tensor, "text views_dim"]:
        """See ``Method.embed_texts``: each view is asked with the same text, by its own map."""
        rows = super().embed_texts(texts, domain).to(self.device)
        return self.join(self([rows] * len(self.views))).cpu()

    def _look(self, images: Images) -> list[Float[Tensor, "n dim"]]:
        """Vectors of each view, averaged with those of the mirror images, on the method's device."""
        rows = []
        for name in self.views:
            encode = partial(self._encode, VIEWS[name])
            rows.append(F.normalize(sum(embed_with_flip(encode, images, device=self.device)), dim=1))
        return [z.to(self.device) for z in rows]

    def _encode(self, view: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
        return self.given.encode_image(view(images))

    def _centred(self, look: list[Float[Tensor, "n dim"]], domain: int) -> list[Float[Tensor, "n dim"]]:
        return [F.normalize(z - mean, dim=1) for z, mean in zip(look, self.offsets[domain], strict=True)]
