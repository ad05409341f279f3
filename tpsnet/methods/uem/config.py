"""The configs of UEM, apart from what they configure."""

from dataclasses import dataclass

from tpsnet.methods.views import ViewsConfig
from tpsnet.settings import (
    Clusters,
    LearningRate,
    Positive,
    Settings,
    Share,
    ShareBelowOne,
    Temperature,
    Weight,
    Whole,
)
from tpsnet.targets import Merge


@dataclass(frozen=True, kw_only=True)
class UnifyingConfig(Settings):
    """What both forms of UEM are told. FOUND values are the paper's; the others are ours (INFERRED).

    Attributes:
        clusters: Number of clusters of each domain; by default the elbow rule counts them.
        merge: Which matching prototypes merge: ``"local"`` is ours, ``"global"`` is eq. 9 as printed, and
            ``"none"`` an ablation switch.
        sel: Whether L_SEL is used (ablation switch).
        spda: Whether the alignment preserves the structure; without it, it is plainly adversarial (ablation
            switch).
        sn2m: Whether images are matched by switchable neighbours; without it by the nearest neighbour alone,
            as UCDIR does (ablation switch).
        temperature: Temperature of every softmax; 0.07 is FOUND.
        memory_momentum: Momentum β of the memory banks; 0.99 is FOUND.
        idse_epochs: Length E of stage 1 in epochs; FOUND are 100 and 200 for other data and another backbone.
        cdsm_epochs: Length of stage 2 in epochs; FOUND is 50.
        alpha_floor: Prototypes are left alone while α(e) is below this.
        lr: Learning rate of the maps, or of the tower.
        classifier_lr: Learning rate of the domain classifier.
        batch_size: Images of each domain in a step, at most as many as the larger domain has; 64 is FOUND.
        start_weight: Weight of the untrained vector in an embedding, where the trained one has 1; the paper
            has 0.
    """

    clusters: Clusters | None = None
    merge: Merge = "local"
    sel: bool = True
    spda: bool = True
    sn2m: bool = True
    temperature: Temperature = 0.07
    memory_momentum: Share = 0.99
    idse_epochs: Whole = 4
    cdsm_epochs: Whole = 8
    alpha_floor: Share = 1e-4
    lr: LearningRate = 1e-4
    classifier_lr: LearningRate = 1e-3
    batch_size: Positive = 64
    start_weight: Weight = 1.0

    def told(self, names: tuple[str, ...]) -> "UnifyingConfig":
        """UEM is told nothing of the classes, not even their number."""
        return self


@dataclass(frozen=True, kw_only=True)
class UEMConfig(UnifyingConfig, ViewsConfig):
    """Config of UEM on frozen views, beside what both forms share.

    Temperature, rate and batch were chosen on line ↔ shaded under *open* and *partial*, seed 0, by their
    labels. A temperature of 0.07 gives about 1 mAP less as embedded, and after re-ranking as much more under
    *open* as less under *partial*.

    Attributes:
        neighbours: Number of neighbours in each domain, for the graph that weighs the views.
        share: Share α of its diffusion.
    """

    temperature: Temperature = 0.1
    lr: LearningRate = 5e-4
    batch_size: Positive = 128
    neighbours: Positive = 5
    share: ShareBelowOne = 0.9
