"""The config of CLAIR, apart from what it configures."""

from dataclasses import dataclass, replace
from typing import Literal

from tpsnet.errors import InputError

TextMap = Literal["ridge", "procrustes", "none"]


@dataclass(frozen=True)
class CLAIRConfig:
    """Config of CLAIR. All values are ours (INFERRED): no setting of the paper is published.

    Attributes:
        names: The seen classes, which is all that training is told; by default the protocol tells them.
        vocabulary: Words that the cross-domain map is solved from; by default the seen classes.
        clusters: Number of clusters of each domain, for the refinement; 0 takes as many as there are names.
        refined: Whether confidence and clusters refine the pseudo-labels; else the texts decide, with full
            weight (ablation switch).
        vote_temperature: Temperature of the softmax over class names; must be positive.
        agreement: Weight of the cluster's mean vote beside an image's own.
        doubted: Share of each class that is doubted.
        doubt: Factor of a doubted image's weight.
        context: Number M of learned vectors before a class name; 0 takes the hand-written texts alone.
        visual_prompts: Number of learned queries of each domain over the tokens of an image; 0 has none.
        tower_groups: Number of parameter groups of the image tower that are trained, see
            ``Backbone.unlock``; 0 freezes all. Four are 80 % of the embedded tower's weights, but 13 % of a
            ViT-L/14's.
        instance_weight: Weight of the inter-instance contrast.
        cluster_weight: Weight of the inter-cluster contrast.
        domain_weight: Weight of the inter-domain contrast.
        temperature: Softmax temperature of the three contrasts; must be positive.
        prototype_momentum: Share of a prototype that is kept at each step.
        map: Closed form of the cross-domain map (``"none"`` is an ablation switch).
        map_penalty: Pull of ``"ridge"`` towards the identity.
        map_rank: Number of directions that texts decide under ``"procrustes"``; by default all that they
            span.
        trained_share: Weight of the trained vector in a similarity, where the frozen CLIP's has the rest.
        text_epochs: Length of stage 1 in epochs.
        text_lr: Learning rate of the context.
        epochs: Length of stage 2 in epochs.
        prompt_lr: Learning rate of the visual prompts.
        tower_lr: Learning rate of the tower's last groups; chosen on the embedded CLIP, for larger ones try
            less.
        batch_size: Images of each domain in a step of stage 2.

    Raises:
        InputError: a share outside of [0, 1], a negative count, a rank without Procrustes, a doubled name, or
            nothing to train.
    """

    names: tuple[str, ...] = ()
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

    def __post_init__(self) -> None:
        if not 0 <= self.trained_share <= 1:
            raise InputError(f"trained_share={self.trained_share}; give a share from 0 to 1")
        if min(self.tower_groups, self.visual_prompts, self.context) < 0:
            raise InputError("tower_groups, visual_prompts and context count things; give 0 or more")
        if not (self.tower_groups or self.visual_prompts):
            raise InputError("CLAIR has nothing to train: give groups of the tower, or visual prompts")
        if self.map_rank is not None and self.map != "procrustes":
            raise InputError(f"map_rank={self.map_rank} belongs to map='procrustes'; this is {self.map!r}")
        if len(set(self.names)) < len(self.names):
            raise InputError("the list of seen classes names a class twice; name each once")

    def told(self, names: tuple[str, ...]) -> "CLAIRConfig":
        """The config with what the protocol tells of the classes: their names."""
        return replace(self, names=self.names or names)
