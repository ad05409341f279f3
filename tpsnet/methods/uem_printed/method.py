r"""UEM as the paper reads: a fine-tuned tower, and rejection by merged prototypes (arXiv:2403.05690).

Stages, losses, memory banks and prototypes are those of ``methods.uem``. Here the whole tower is trained, and
a query is rejected by the rule of App. B.1 (``targets.reject_unmerged``).

Ours differs, beside what ``methods.uem`` says of the stages:

- The encoder is CLIP's image tower (or a MoCo-v2 ResNet-50), fine-tuned as the loop is told: by AdamW, or by
  the paper's SGD with a learning rate of 2e-4 (``tpsnet.presets``).
- An embedding is the tower's vector **less the mean over both domains** before training, at unit length. What
  all vectors of a CLIP share leaves little for a softmax at τ = 0.07 to tell apart; what lies between the
  domains stays, for eq. 8 and stage 2. After training the untrained vector is added again.
"""

from tpsnet.methods.base import Stage
from tpsnet.methods.uem.alignment import AlignmentStage
from tpsnet.methods.uem.enhancement import EnhancementStage
from tpsnet.methods.uem_printed.encoder import UEMEncoder


class UEMPrinted(UEMEncoder):
    """The encoder and the two stages of UEM."""

    name = "UEMPrinted"

    def stages(self) -> list[Stage]:
        """Intra-domain semantic-enhanced learning, then cross-domain semantic-matched learning."""
        return [EnhancementStage(self), AlignmentStage(self)]
