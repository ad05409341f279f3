"""The config of CLAIR, apart from what it configures."""

from dataclasses import dataclass, replace
from typing import Literal

from tpsnet.errors import InputError
from tpsnet.methods.views import ViewsConfig

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
        vote_temperature: Temperature of the softmax over class names; must be positive.
        agreement: Weight of the cluster's mean vote beside an image's own.
        doubted: Share of each class that is doubted.
        doubt: Factor of a doubted image's weight.
        context: Number M of learned vectors before a class name; 0 takes the hand-written texts alone.
        instance_weight: Weight of the inter-instance contrast.
        cluster_weight: Weight of the inter-cluster contrast.
        domain_weight: Weight of the inter-domain contrast.
        temperature: Softmax temperature of the three contrasts; must be positive.
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
        batch_size: Images of each domain in a step of stage 2.

    Raises:
        InputError: a share outside of [0, 1], a negative count, a rank without Procrustes, or a doubled name.
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
    instance_weight: float = 1.0
    cluster_weight: float = 1.0
    domain_weight: float = 1.0
    temperature: float = 0.2
    prototype_momentum: float = 0.9
    map: TextMap = "ridge"
    map_penalty: float = 10.0
    map_rank: int | None = None
    neighbours: int = 5
    share: float = 0.9
    trained_share: float = 0.3
    text_epochs: int = 5
    text_lr: float = 1e-3
    steps: int = 300
    epochs: int = 150
    map_lr: float = 5e-4
    batch_size: int = 256

    def __post_init__(self) -> None:
        if not 0 <= self.trained_share <= 1:
            raise InputError(f"trained_share={self.trained_share}; give a share from 0 to 1")
        if self.context < 0:
            raise InputError(f"context={self.context} counts words; give 0 or more")
        if self.map_rank is not None and self.map != "procrustes":
            raise InputError(f"map_rank={self.map_rank} belongs to map='procrustes'; this is {self.map!r}")
        if len(set(self.names)) < len(self.names):
            raise InputError("the list of seen classes names a class twice; name each once")

    def told(self, names: tuple[str, ...]) -> "CLAIRConfig":
        """The config with what the protocol tells of the classes: their names."""
        return replace(self, names=self.names or names)
