"""The config of TPSNet, apart from what it configures."""

from dataclasses import dataclass, replace

from tpsnet.methods.tpsnet.attention import SynergyMode


@dataclass(frozen=True)
class TPSNetConfig:
    """Config of TPSNet. All values are ours (INFERRED), none is the paper's.

    Attributes:
        clusters: Number C of prompts and prototypes; by default the number of classes, which the protocol
            tells, as in the paper.
        text_prior: Whether prompts are learned and query the image (ablation switch).
        phase_prior: Whether the phase token is added (ablation switch).
        synergy: How the prompts query the image, see ``attention``.
        joint_clusters: Whether one k-means runs over both centred domains; else one runs for each.
        neighbours: Number of images of each domain that an image is averaged with before it gets a
            pseudo-label; 0 takes it alone.
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
        start_weight: Weight of the centred CLIP vector in an embedding, where the trained one has 1: an
            ensemble of zero-shot and fine-tuned outputs (Wortsman et al., CVPR 2022); the paper has 0.
        batch_size: Images of each domain in a step of stage 2.
    """

    clusters: int | None = None
    text_prior: bool = True
    phase_prior: bool = True
    synergy: SynergyMode = "tokens"
    joint_clusters: bool = True
    neighbours: int = 10
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
    start_weight: float = 1.0
    batch_size: int = 64

    def told(self, names: tuple[str, ...]) -> "TPSNetConfig":
        """The config with what the protocol tells of the classes: their number alone."""
        return replace(self, clusters=self.clusters or len(names))
