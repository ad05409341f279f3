"""The config of TPSNet, apart from what it configures."""

from dataclasses import dataclass, replace

from tpsnet.methods.views import ViewsConfig
from tpsnet.settings import Clusters, LearningRate, Positive, ShareBelowOne, Temperature, Weight, Whole


@dataclass(frozen=True)
class TPSNetConfig(ViewsConfig):
    """Config of TPSNet, beside that of the views. All values are ours (INFERRED), none is the paper's.

    Attributes:
        clusters: Number C of prompts; by default the number of classes, which the protocol tells, as in the
            paper.
        neighbours: Number of neighbours in each domain, for the graph and as positives; fewer where classes
            are so small that a third of one is less.
        share: Share of an embedding that comes from its neighbours at each step of the diffusion before
            training.
        context: Number M of learned vectors in a prompt.
        prompt_epochs: Length of stage 1 in epochs.
        prompt_warmup: Epochs of stage 1 on cluster labels, before images are re-paired by similarity.
        prompt_lr: Learning rate of the contexts.
        prompt_temperature: Softmax temperature of the prompt losses.
        steps: Length of stage 2 in steps, rounded up to whole epochs.
        epochs: The most epochs that stage 2 may take, where a domain is small.
        map_lr: Learning rate of the maps.
        temperature: Softmax temperature of the neighbour contrast.
        text_weight: Weight beta of L_i2tce, which pulls an image to its cluster's prompt; 0 leaves out the
            text prior.
        text_temperature: Softmax temperature of L_i2tce.
        smoothing: Label smoothing of L_i2tce.
        batch_size: Images of each domain in a step of stage 2; at most as many as the larger domain has.
    """

    clusters: Clusters | None = None
    neighbours: Positive = 5
    share: ShareBelowOne = 0.9
    context: Positive = 4
    prompt_epochs: Whole = 15
    prompt_warmup: Whole = 5
    prompt_lr: LearningRate = 1e-2
    prompt_temperature: Temperature = 0.05
    steps: Whole = 900
    epochs: Whole = 150
    map_lr: LearningRate = 2e-3
    temperature: Temperature = 0.1
    text_weight: Weight = 1.0
    text_temperature: Temperature = 0.1
    smoothing: ShareBelowOne = 0.1
    batch_size: Positive = 256

    def told(self, names: tuple[str, ...]) -> "TPSNetConfig":
        """The config with what the protocol tells of the classes: their number alone."""
        return replace(self, clusters=self.clusters or len(names))
