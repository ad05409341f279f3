"""The settings of CLAIR, apart from what they set."""

from dataclasses import dataclass
from typing import Literal

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
        tower_groups: parameter groups of the image tower that are trained, from its end, as open_clip counts
            them (of a transformer the projection and its last blocks); 0 freezes all.
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
        tower_lr: learning rate of the tower's last groups.
        batch_size: pictures of each domain in a step of stage 2.
        seed: of clusters and prompts.
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
