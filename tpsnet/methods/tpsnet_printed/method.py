r"""TPSNet as the paper reads: text-phase synergy with dual priors (CVPR 2026, arXiv:2603.12711).

Stage 1 learns one CLIP prompt per cluster and domain, :math:`L = L_{i2t} + L_{t2i}`, CLIP frozen. Stage 2
fine-tunes CLIP's image tower with :math:`L = \alpha L_{pce} + \beta L_{i2tce}` on momentum prototypes and on
the frozen prompts. Neither stage sees a label or a class name. Each domain is clustered alone, so that only
the text space aligns the two.

The paper's full text was not at hand: the settings in ``TPSNetPrintedConfig`` and what ``attention`` marks
are INFERRED. Ours differs in one point: everything starts from the CLIP vector **less the mean of its
domain**, and the mean of each domain's embeddings is taken off once more after training, so that an untrained
network is exactly the centred baseline. What we do otherwise on purpose is a method of its own,
``methods.tpsnet``.
"""

from tpsnet.methods.base import Stage
from tpsnet.methods.tpsnet.prompts import PromptStage
from tpsnet.methods.tpsnet_printed.dual_prior import DualPriorStage
from tpsnet.methods.tpsnet_printed.network import DualPriorNetwork


class TPSNetPrinted(DualPriorNetwork):
    """The network and its two stages."""

    name = "TPSNetPrinted"

    def stages(self) -> list[Stage]:
        """Prompt generation, then the dual-prior network."""
        return [PromptStage(self), DualPriorStage(self)]
