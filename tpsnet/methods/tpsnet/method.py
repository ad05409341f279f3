r"""TPSNet: text-phase synergy with dual priors (CVPR 2026, arXiv:2603.12711).

Stage 1 learns one CLIP prompt per cluster and domain, :math:`L = L_{i2t} + L_{t2i}`, CLIP frozen. Stage 2
trains the image side with :math:`L = \alpha L_{pce} + \beta L_{i2tce}` on momentum prototypes and on the
frozen prompts. Neither stage sees a label or a class name.

The paper's full text was not at hand. What is INFERRED is marked at its field in ``TPSNetConfig``; what we do
differently on purpose:

- Everything starts from the CLIP vector **less the mean of its domain**, the part that only says how the
  domain is drawn; an untrained network is then exactly the centred baseline. Training shifts the domains
  again, so the mean of each is taken off once more at its end. The start keeps its say: the two vectors are
  added.
- The clusters of the two domains share their numbers: one k-means runs over both centred domains, so cluster
  c means the same in either and both share a prototype. The paper clusters each domain alone
  (``joint_clusters=False``), which leaves the alignment to the text space.
- Clusters, pseudo-labels and prototypes are made from images averaged with their mirror images, which show
  the same, and with their neighbours in both domains. Embeddings are those of the image alone.
"""

from tpsnet.methods.base import Stage
from tpsnet.methods.tpsnet.dual_prior import DualPriorStage
from tpsnet.methods.tpsnet.network import DualPriorNetwork
from tpsnet.methods.tpsnet.prompts import PromptStage


class TPSNet(DualPriorNetwork):
    """The network and its two stages."""

    name = "TPSNet"

    def stages(self) -> list[Stage]:
        """Prompt generation (with the text prior), then the dual-prior network."""
        return [PromptStage(self), DualPriorStage(self)] if self.cfg.text_prior else [DualPriorStage(self)]
