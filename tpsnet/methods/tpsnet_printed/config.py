"""The config of TPSNet as printed, apart from what it configures."""

from dataclasses import dataclass, field, replace

from tpsnet.backbone import LayerRates
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


@dataclass(frozen=True)
class TPSNetPrintedConfig(Settings):
    """Config of TPSNet as printed. The reading is the paper's, all values are ours (INFERRED).

    Attributes:
        clusters: Number C of prompts and prototypes of each domain; by default the number of classes, which
            the protocol tells, as in the paper.
        context: Number M of learned vectors in a prompt.
        prompt_epochs: Length of stage 1 in epochs.
        prompt_warmup: Epochs of stage 1 on cluster labels, before images are re-paired by similarity.
        prompt_lr: Learning rate of the contexts.
        prompt_temperature: Softmax temperature of the prompt losses.
        epochs: Length of stage 2 in epochs.
        encoder_lr: Learning rate of CLIP's image tower; a ViT-B/16 wants a lower one.
        module_lr: Learning rate of everything new.
        prototype_temperature: Softmax temperature of L_pce.
        text_temperature: Softmax temperature of L_i2tce, and of the weights over prompts.
        prototype_momentum: Share m of a prototype that is kept at each epoch.
        smoothing: Label smoothing of L_i2tce.
        prototype_weight: Weight alpha of L_pce.
        text_weight: Weight beta of L_i2tce.
        heads: Number of attention heads.
        batch_size: Images of each domain in a step of stage 2; at most as many as the larger domain has.
        layers: How fast each layer of CLIP's image tower learns.
    """

    clusters: Clusters | None = None
    context: Positive = 4
    prompt_epochs: Whole = 15
    prompt_warmup: Whole = 5
    prompt_lr: LearningRate = 1e-2
    prompt_temperature: Temperature = 0.05
    epochs: Whole = 5
    encoder_lr: LearningRate = 1e-4
    module_lr: LearningRate = 1e-3
    prototype_temperature: Temperature = 0.2
    text_temperature: Temperature = 0.1
    prototype_momentum: Share = 0.5
    smoothing: ShareBelowOne = 0.1
    prototype_weight: Weight = 1.0
    text_weight: Weight = 1.0
    heads: Positive = 4
    batch_size: Positive = 64
    layers: LayerRates = field(default_factory=LayerRates)

    def told(self, names: tuple[str, ...]) -> "TPSNetPrintedConfig":
        """The config with what the protocol tells of the classes: their number alone."""
        return replace(self, clusters=self.clusters or len(names))
