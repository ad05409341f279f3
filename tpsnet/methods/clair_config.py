"""The settings of CLAIR, apart from what they set."""

from dataclasses import dataclass
from typing import Literal

TextMap = Literal["procrustes", "ridge", "none"]


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
        visual_prompts: learned queries of each domain over the tokens of an image; 0 averages the tokens.
        instance_weight: of the inter-instance contrast.
        cluster_weight: of the inter-cluster contrast.
        domain_weight: of the inter-domain contrast.
        temperature: of the three contrasts.
        prototype_momentum: kept share of a prototype at each step.
        map: closed form of the cross-domain map (``"none"`` is an ablation switch).
        map_share: share of the mapped vector, where the vector as it is has the rest.
        map_rank: directions that texts decide under ``"procrustes"``; ``None`` takes all that they span.
        map_penalty: pull of ``"ridge"`` towards the identity.
        head_share: weight of the trained part in a similarity, where the CLIP vector has the rest.
        text_epochs: length of stage 1.
        text_lr: learning rate of the context.
        epochs: length of stage 2.
        head_lr: learning rate of visual prompts and projection.
        batch_size: pictures of each domain in a step of stage 2.
        seed: of clusters, prompts and projection.
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
    instance_weight: float = 1.0
    cluster_weight: float = 1.0
    domain_weight: float = 1.0
    temperature: float = 0.2
    prototype_momentum: float = 0.9
    map: TextMap = "procrustes"
    map_share: float = 0.3
    map_rank: int | None = None
    map_penalty: float = 10.0
    head_share: float = 0.5
    text_epochs: int = 5
    text_lr: float = 1e-3
    epochs: int = 4
    head_lr: float = 1e-3
    batch_size: int = 128
    seed: int = 0
