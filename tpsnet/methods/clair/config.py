"""The config of CLAIR, apart from what it configures."""

from dataclasses import dataclass, replace
from typing import Literal

from tpsnet.errors import InputError
from tpsnet.methods.views import ViewsConfig
from tpsnet.settings import (
    LearningRate,
    Positive,
    PositiveWeight,
    Share,
    ShareBelowOne,
    Temperature,
    Weight,
    Whole,
)

TextMap = Literal["ridge", "procrustes", "none"]


@dataclass(frozen=True)
class CLAIRConfig(ViewsConfig):
    """Config of CLAIR, beside that of the views.

    All values are ours (INFERRED): no setting of the paper is published.

    Attributes:
        names: The seen classes, which is all that training is told; by default the protocol tells them.
        vocabulary: Words that the cross-domain map is solved from; by default the seen classes.
        clusters: Number of clusters of each domain, for the refinement; 0 takes as many as there are names.
        refined: Whether confidence and clusters refine the pseudo-labels; else the texts decide, with full
            weight (ablation switch).
        vote_temperature: Temperature of the softmax over class names.
        agreement: Weight of the cluster's mean vote beside an image's own.
        doubted: Share of each class that is doubted.
        doubt: Factor of a doubted image's weight.
        context: Number M of learned vectors before a class name; 0 takes the hand-written texts alone.
        instance_weight: Weight of the inter-instance contrast.
        cluster_weight: Weight of the inter-cluster contrast.
        domain_weight: Weight of the inter-domain contrast.
        temperature: Softmax temperature of the three contrasts.
        prototype_momentum: Share of a prototype that is kept at each step.
        map: Closed form of the cross-domain map (``"none"`` is an ablation switch).
        map_penalty: Pull of ``"ridge"`` towards the identity.
        map_rank: Number of directions that texts decide under ``"procrustes"``; by default all that they
            span.
        neighbours: Number of neighbours in each domain, for the graph that weighs the views.
        share: Share α of its diffusion.
        trained_share: Weight of the trained views in a similarity, where the frozen ones have the rest.
        text_epochs: Length of stage 1 in epochs.
        text_lr: Learning rate of the context.
        steps: Length of stage 2 in steps, rounded up to whole epochs.
        epochs: The most epochs that stage 2 may take, where a domain is small.
        map_lr: Learning rate of the maps.
        batch_size: Images of each domain in a step of stage 2; at most as many as the larger domain has.

    Raises:
        InputError: a value outside its range, a rank without Procrustes, or a doubled name.
    """

    names: tuple[str, ...] = ()
    vocabulary: tuple[str, ...] = ()
    clusters: Whole = 0
    refined: bool = True
    vote_temperature: Temperature = 0.05
    agreement: Weight = 1.0
    doubted: Share = 0.2
    doubt: Share = 0.5
    context: Whole = 4
    instance_weight: Weight = 1.0
    cluster_weight: Weight = 1.0
    domain_weight: Weight = 1.0
    temperature: Temperature = 0.2
    prototype_momentum: Share = 0.9
    map: TextMap = "ridge"
    map_penalty: PositiveWeight = 10.0
    map_rank: Positive | None = None
    neighbours: Positive = 5
    share: ShareBelowOne = 0.9
    trained_share: Share = 0.3
    text_epochs: Whole = 5
    text_lr: LearningRate = 1e-3
    steps: Whole = 300
    epochs: Whole = 150
    map_lr: LearningRate = 5e-4
    batch_size: Positive = 256

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.map_rank is not None and self.map != "procrustes":
            raise InputError(f"map_rank={self.map_rank} belongs to map='procrustes'; this is {self.map!r}")
        if len(set(self.names)) < len(self.names):
            raise InputError("the list of seen classes names a class twice; name each once")

    def told(self, names: tuple[str, ...]) -> "CLAIRConfig":
        """The config with what the protocol tells of the classes: their names."""
        return replace(self, names=self.names or names)
