r"""CLAIR: CLIP-aided, weakly supervised zero-shot retrieval across domains (BMVC 2025, arXiv:2508.12290).

Training sees images and the **names** of the seen classes, no labels. Stage 1 learns a context for the
texts on pseudo-labels; stage 2 trains the maps of frozen views (``methods.views``),
:math:`L = \lambda_1 L_{ii} + \lambda_2 L_{ic} + \lambda_3 L_{id}`, each image by its confidence; a map in
closed form, from texts alone, takes the first domain to the second.

The abstract names the five parts; equations, architecture and settings are not published, so that every one
of them is INFERRED (see ``text_labels``, ``supervised``, ``text_map`` and the fields of ``CLAIRConfig``).
What we do on purpose:

- Training moves the views gently, and the frozen ones, v, stay in the embedding: the trained z stand beside
  them, :math:`[\sqrt{1-s}\,v, \sqrt{s}\,z]`, so that a similarity is the weighted mean of both, and what CLIP
  knows of unseen classes is kept. Even true labels of the seen classes move the unseen ones away from it.
- The closed-form map applies to both, since z has not left CLIP's space, and to the first domain alone: one
  embedding of each domain then serves both directions.
- Texts are centred as images are, by their mean over the seen names.
- The learnable prompts are a context of the texts; there are none in the image tower, which stays frozen.
"""

from tpsnet.methods.base import Stage
from tpsnet.methods.clair.image_stage import ImageStage
from tpsnet.methods.clair.network import CLAIRNetwork
from tpsnet.methods.clair.text_stage import TextStage


class CLAIR(CLAIRNetwork):
    """The network and its two stages."""

    name = "CLAIR"

    def stages(self) -> list[Stage]:
        """The context of the texts (if there is one), then the maps."""
        return [TextStage(self), ImageStage(self)] if self.cfg.context else [ImageStage(self)]
