r"""TPSNet with priors that hold after re-ranking: frozen views, and a linear map for each of them.

The idea is TPSNet's (CVPR 2026, arXiv:2603.12711): a text prior and a phase prior, trained on pseudo-labels,
without a label or a class name. Stage 1 learns a prompt for every cluster, :math:`L = L_{i2t} + L_{t2i}`, as
in the paper. All else is ours (INFERRED); ``methods.tpsnet_printed`` is the paper's own reading.

The embedding is three frozen views, each with a linear map, side by side (``methods.views``); the phase
drawing among them is the phase prior. Stage 2 fits the maps so that an image finds its neighbours after
diffusion, in either domain (``targets.diffused``); across the domains only an image that comes back to itself
does (``targets.return_distance``), since another one may have no match there. No tower is trained, and a
minute or two suffice.
"""

from tpsnet.methods.base import Stage
from tpsnet.methods.tpsnet.maps import MapStage
from tpsnet.methods.tpsnet.network import ViewNetwork
from tpsnet.methods.tpsnet.prompts import PromptStage


class TPSNet(ViewNetwork):
    """The network and its two stages."""

    name = "TPSNet"

    def stages(self) -> list[Stage]:
        """Prompt generation, then the maps."""
        return [PromptStage(self), MapStage(self)]
