r"""UEM: unified, enhanced, matched; retrieval under any label spaces (NeurIPS 2024, arXiv:2403.05690).

Stage 1 (IDSE) learns each domain for itself, on a memory bank and on the unified prototypes:
:math:`L = \sum_d L_{INCE} + \alpha(e) (L_{PNCE} + L_{SEL})`. Stage 2 (CDSM) brings the domains together:
:math:`L = L_{DAL} + \sum_d L_{SPR} + L_{SN^2M}`. No label and no class name is seen.

Ours differs:

- The encoder is CLIP's image tower (or a MoCo-v2 ResNet-50), fine-tuned by AdamW; the paper trains the latter
  by SGD with a learning rate of 2e-4.
- An embedding is the tower's vector **less the mean over both domains** before training, at unit length. What
  all vectors of a CLIP share leaves little for a softmax at τ = 0.07 to tell apart; what lies between the
  domains stays, for eq. 8 and stage 2. After training the untrained vector is added again, as in TPSNet.
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
from tpsnet.methods.uem.encoder import UEMEncoder
from tpsnet.methods.uem.enhancement import EnhancementStage


class UEM(UEMEncoder):
    """The encoder and its two stages."""

    name = "UEM"

    def stages(self) -> list[Stage]:
        """Intra-domain semantic-enhanced learning, then cross-domain semantic-matched learning."""
        return [EnhancementStage(self), AlignmentStage(self)]
