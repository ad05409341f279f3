r"""CLAIR: CLIP-aided, weakly supervised zero-shot retrieval across domains (BMVC 2025, arXiv:2508.12290).

Training sees images and the **names** of the seen classes, no labels. Stage 1 learns a context for the
texts on pseudo-labels; stage 2 trains visual prompts and the last groups of the tower,
:math:`L = \lambda_1 L_{ii} + \lambda_2 L_{ic} + \lambda_3 L_{id}`, each image by its confidence; a map in
closed form, from texts alone, takes the first domain to the second.

The abstract names the five parts; equations, architecture and settings are not published, so that every one
of them is INFERRED (see ``text_labels``, ``supervised``, ``text_map``, ``visual_prompts`` and the fields of
``CLAIRConfig``). What we do on purpose:

- Training starts at the CLIP vector **less the mean of its domain's seen images** and moves it gently. The
  frozen one, v, stays in the embedding: the trained z stands beside it, :math:`[\sqrt{1-s}\,v, \sqrt{s}\,z]`,
  so that a similarity is the weighted mean of both, and what CLIP knows of unseen classes is kept.
- The map applies to both, since z has not left CLIP's space, and to the first domain alone: one embedding of
  each domain then serves both directions.
- Texts are centred as images are, by their mean over the seen names.
"""

from tpsnet.methods.base import Stage
from tpsnet.methods.clair.image_stage import ImageStage
from tpsnet.methods.clair.network import CLAIRNetwork
from tpsnet.methods.clair.text_stage import TextStage


class CLAIR(CLAIRNetwork):
    """The network and its two stages."""

    name = "CLAIR"

    def stages(self) -> list[Stage]:
        """The context of the texts (if there is one), then visual prompts and tower."""
        return [TextStage(self), ImageStage(self)] if self.cfg.context else [ImageStage(self)]
