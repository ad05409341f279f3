"""The settings of CLAIR, apart from what they set."""

from dataclasses import dataclass
from typing import Literal

from tpsnet.types import InputError

TextMap = Literal["ridge", "procrustes", "none"]


@dataclass(frozen=True)
class CLAIRConfig:
    """Settings of CLAIR. All values are ours (INFERRED): no setting of the paper is published.

    Attributes:
        names: the seen classes; all that training is told.
        vocabulary: words that the cross-domain map is solved from; by default the seen classes.
        clusters: of each domain, for the refinement; 0 takes as many as there are names.
        refined: let confidence and clusters refine the pseudo-labels; else what the texts say, with full
            weight (ablation switch).
        vote_temperature: of the softmax over class names.
        agreement: weight of the cluster's mean vote beside a picture's own.
        doubted: share of each class that is doubted.
        doubt: factor of a doubted picture's weight.
        context: learned vectors before a class name, M; 0 takes the hand-written texts alone.
        visual_prompts: learned queries of each domain over the tokens of an image; 0 has none.
        tower_groups: parameter groups of the image tower that are trained, see ``Backbone.unlock``; 0 freezes
            all. Four are 80 % of the embedded tower's weights, but 13 % of a ViT-L/14's.
        instance_weight: of the inter-instance contrast.
        cluster_weight: of the inter-cluster contrast.
        domain_weight: of the inter-domain contrast.
        temperature: of the three contrasts.
        prototype_momentum: kept share of a prototype at each step.
        map: closed form of the cross-domain map (``"none"`` is an ablation switch).
        map_penalty: pull of ``"ridge"`` towards the identity.
        map_rank: directions that texts decide under ``"procrustes"``; ``None`` takes all that they span.
        trained_share: weight of the trained vector in a similarity, where the frozen CLIP's has the rest.
        text_epochs: length of stage 1.
        text_lr: learning rate of the context.
        epochs: length of stage 2.
        prompt_lr: learning rate of the visual prompts.
        tower_lr: learning rate of the tower's last groups; chosen on the embedded CLIP, for larger ones try
            less.
        batch_size: pictures of each domain in a step of stage 2.
        seed: of clusters and prompts.

    Raises:
        InputError: a share outside of [0, 1], a negative count, nothing to train.
    """

    names: tuple[str, ...]
    vocabulary: tuple[str, ...] = ()
    clusters: int = 0
    refined: bool = True
    vote_temperature: float = 0.05
    agreement: float = 1.0
    doubted: float = 0.2
    doubt: float = 0.5
    context: int = 4
    visual_prompts: int = 4
    tower_groups: int = 4
    instance_weight: float = 1.0
    cluster_weight: float = 1.0
    domain_weight: float = 1.0
    temperature: float = 0.2
    prototype_momentum: float = 0.9
    map: TextMap = "ridge"
    map_penalty: float = 10.0
    map_rank: int | None = None
    trained_share: float = 0.6
    text_epochs: int = 5
    text_lr: float = 1e-3
    epochs: int = 4
    prompt_lr: float = 1e-2
    tower_lr: float = 3e-4
    batch_size: int = 128
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.trained_share <= 1:
            raise InputError(f"trained_share={self.trained_share}; give a share from 0 to 1")
        if min(self.tower_groups, self.visual_prompts, self.context) < 0:
            raise InputError("tower_groups, visual_prompts and context count things; give 0 or more")
        if not (self.tower_groups or self.visual_prompts):
            raise InputError("CLAIR has nothing to train: ask for groups of the tower, or visual prompts")
