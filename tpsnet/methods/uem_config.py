"""The settings of UEM, apart from what they set."""

from dataclasses import dataclass

from tpsnet.targets import Merge


@dataclass(frozen=True)
class UEMConfig:
    """Settings of UEM. FOUND values are the paper's; the others are ours (INFERRED).

    Attributes:
        clusters: number of clusters of each domain; ``None`` asks the elbow rule.
        merge: which matching prototypes merge: ``"local"`` is ours, ``"global"`` is eq. 9 as printed, and
            ``"none"`` an ablation switch.
        sel: use L_SEL (ablation switch).
        spda: preserve the structure while aligning; without it the alignment is plainly adversarial
            (ablation switch).
        sn2m: match by switchable neighbours; without it by the nearest neighbour alone, as UCDIR does
            (ablation switch).
        temperature: of every softmax; 0.07 is FOUND.
        memory_momentum: β of the memory bank; 0.99 is FOUND.
        idse_epochs: length E of stage 1; FOUND are 100 and 200 for other data and another backbone.
        cdsm_epochs: length of stage 2; FOUND is 50. Here it is the stage that gains: mAP is higher with 4 and
            8 epochs than with 8 and 4 (seen with labels, on 40 classes of three embedded pairs).
        alpha_floor: prototypes are left alone while α(e) is below this.
        encoder_lr: learning rate of the image tower.
        classifier_lr: learning rate of the domain classifier.
        batch_size: pictures of each domain in a step; 64 is FOUND.
        start_weight: of the untrained vector in an embedding, where the trained one has 1, as in TPSNet; the
            paper has 0.
        seed: of clusters and the classifier's weights.
    """

    clusters: int | None = None
    merge: Merge = "local"
    sel: bool = True
    spda: bool = True
    sn2m: bool = True
    temperature: float = 0.07
    memory_momentum: float = 0.99
    idse_epochs: int = 4
    cdsm_epochs: int = 8
    alpha_floor: float = 1e-4
    encoder_lr: float = 1e-4
    classifier_lr: float = 1e-3
    batch_size: int = 64
    start_weight: float = 1.0
    seed: int = 0
