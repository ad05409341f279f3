"""The config of TPSNet as printed, apart from what it configures."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class TPSNetPrintedConfig:
    """Config of TPSNet as printed. The reading is the paper's, all values are ours (INFERRED).

    Attributes:
        clusters: Number C of prompts and prototypes of each domain; by default the number of classes, which
            the protocol tells, as in the paper.
        context: Number M of learned vectors in a prompt.
        prompt_epochs: Length of stage 1 in epochs.
        prompt_warmup: Epochs of stage 1 on cluster labels, before images are re-paired by similarity.
        prompt_lr: Learning rate of the contexts.
        prompt_temperature: Softmax temperature of the prompt losses; must be positive.
        epochs: Length of stage 2 in epochs.
        encoder_lr: Learning rate of CLIP's image tower; a ViT-B/16 wants a lower one.
        module_lr: Learning rate of everything new.
        prototype_temperature: Softmax temperature of L_pce; must be positive.
        text_temperature: Softmax temperature of L_i2tce, and of the weights over prompts; must be positive.
        prototype_momentum: Share m of a prototype that is kept at each epoch.
        smoothing: Label smoothing of L_i2tce.
        prototype_weight: Weight alpha of L_pce.
        text_weight: Weight beta of L_i2tce.
        heads: Number of attention heads.
        batch_size: Images of each domain in a step of stage 2.
    """

    clusters: int | None = None
    context: int = 4
    prompt_epochs: int = 15
    prompt_warmup: int = 5
    prompt_lr: float = 1e-2
    prompt_temperature: float = 0.05
    epochs: int = 5
    encoder_lr: float = 1e-4
    module_lr: float = 1e-3
    prototype_temperature: float = 0.2
    text_temperature: float = 0.1
    prototype_momentum: float = 0.5
    smoothing: float = 0.1
    prototype_weight: float = 1.0
    text_weight: float = 1.0
    heads: int = 4
    batch_size: int = 64

    def told(self, names: tuple[str, ...]) -> "TPSNetPrintedConfig":
        """The config with what the protocol tells of the classes: their number alone."""
        return replace(self, clusters=self.clusters or len(names))
