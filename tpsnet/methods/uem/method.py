r"""UEM: unified, enhanced, matched; retrieval under any label spaces (NeurIPS 2024, arXiv:2403.05690).

Stage 1 (IDSE) learns each domain for itself, on a memory bank and on the unified prototypes:
:math:`L = \sum_d L_{INCE} + \alpha(e) (L_{PNCE} + L_{SEL})`. Stage 2 (CDSM) brings the domains together:
:math:`L = L_{DAL} + \sum_d L_{SPR} + L_{SN^2M}`. No label and no class name is seen. Losses, memory banks,
prototypes and their schedule are the paper's; ``methods.uem_printed`` has its encoder and its rule of
rejection too.

Ours differs:

- What is trained are linear maps of frozen views (``methods.views``) instead of a tower. With thousands of
  images of hundreds of classes a tower drifts away from what CLIP knows, and the domains drift apart.
- A domain's centre is not its mean, but comes from images that find one another (``targets.gap``).
- The untrained vector is added to an embedding, at unit length.
- Queries are rejected by where they and their clusters come back to (``targets.reject_unreturned``).
- Embeddings, memories, and prototypes in losses and neighbour search are L2-normalised rows; prototypes are
  translated and merged as the means that k-means gives (INFERRED; the paper does not say what is normalised).
- Prototypes merge by a local limit (see ``targets.unified``).
- Every term is a mean (INFERRED, see the losses).
- β is the paper's, for far fewer epochs: memories move little, and α rises in steep steps.
- As for all methods here: every stage has its own AdamW, warm-up and cosine, and gradients are clipped.
- The number of clusters is fixed once, by the elbow of the first memories; k-means then goes on from its last
  centres, once an epoch and only while α counts (INFERRED; the paper names neither).
"""

from tpsnet.methods.base import Stage
from tpsnet.methods.uem.alignment import AlignmentStage
from tpsnet.methods.uem.enhancement import EnhancementStage
from tpsnet.methods.uem.network import UEMNetwork


class UEM(UEMNetwork):
    """The network and its two stages."""

    name = "UEM"

    def stages(self) -> list[Stage]:
        """Intra-domain semantic-enhanced learning, then cross-domain semantic-matched learning."""
        return [EnhancementStage(self), AlignmentStage(self)]
