"""The config of TPSNet, apart from what it configures."""

from dataclasses import dataclass, replace

from tpsnet.methods.views import ViewsConfig


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
        prompt_temperature: Softmax temperature of the prompt losses; must be positive.
        steps: Length of stage 2 in steps, rounded up to whole epochs.
        epochs: The most epochs that stage 2 may take, where a domain is small.
        map_lr: Learning rate of the maps.
        temperature: Softmax temperature of the neighbour contrast; must be positive.
        text_weight: Weight beta of L_i2tce, which pulls an image to its cluster's prompt; 0 leaves out the
            text prior.
        text_temperature: Softmax temperature of L_i2tce; must be positive.
        smoothing: Label smoothing of L_i2tce.
        batch_size: Images of each domain in a step of stage 2.
    """

    clusters: int | None = None
    neighbours: int = 5
    share: float = 0.9
    context: int = 4
    prompt_epochs: int = 15
    prompt_warmup: int = 5
    prompt_lr: float = 1e-2
    prompt_temperature: float = 0.05
    steps: int = 900
    epochs: int = 150
    map_lr: float = 2e-3
    temperature: float = 0.1
    text_weight: float = 1.0
    text_temperature: float = 0.1
    smoothing: float = 0.1
    batch_size: int = 256

    def told(self, names: tuple[str, ...]) -> "TPSNetConfig":
        """The config with what the protocol tells of the classes: their number alone."""
        return replace(self, clusters=self.clusters or len(names))
