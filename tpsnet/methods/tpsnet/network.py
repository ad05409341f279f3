"""The network of TPSNet: maps of frozen views, and the prompts that describe them."""

import copy

from tpsnet.backbone import Backbone, MoCo
from tpsnet.methods.tpsnet.config import TPSNetConfig
from tpsnet.methods.tpsnet.neighbourhoods import Neighbourhoods
from tpsnet.methods.tpsnet.prompts import Prompted
from tpsnet.methods.views import ViewMaps
from tpsnet.types import Images


class ViewNetwork(Prompted, ViewMaps):
    """All of TPSNet but its stages.

    Args:
        backbone: A CLIP; it stays frozen.
        cfg: The config, with the number of clusters.
        seed: Seed of clusters, prompts and batches.

    Raises:
        InputError: the number of clusters is missing; the backbone is no CLIP; the text tower has no room for
            the context.
    """

    def __init__(self, backbone: Backbone | MoCo, cfg: TPSNetConfig, seed: int = 0) -> None:
        super().__init__(backbone, cfg, seed)
        self.learn_prompts(copy.deepcopy(backbone).requires_grad_(False))
        self.to(self.device)

    def prepare(self, images: tuple[Images, Images]) -> None:
        """Look at all views, weigh them, and find everyone's neighbours; see ``Prompted.prepare``.

        Where classes are so small that a third of one is less, there are fewer neighbours.
        """
        super().prepare(images)
        cfg, third = self.cfg, min(map(len, images)) // (3 * self.cfg.clusters)
        neighbours = max(1, min(cfg.neighbours, third))
        views = self.prepare_views(images, neighbours, cfg.share)
        rest = cfg.clusters, neighbours, cfg.share, self.seed
        self.targets = Neighbourhoods(views, self.weights, *rest)
