"""The settings of TPSNet, apart from what they set."""

from dataclasses import dataclass

from tpsnet.methods.dual_prior import SynergyMode


@dataclass(frozen=True)
class TPSNetConfig:
    """Settings of TPSNet. All values are ours (INFERRED), none is the paper's.

    Attributes:
        clusters: C, the number of prompts and prototypes; preset, as in the paper.
        text_prior: learn prompts and let them ask the image (ablation switch).
        phase_prior: add the phase token (ablation switch).
        synergy: how the prompts ask, see ``dual_prior``.
        joint_clusters: one k-means over both centred domains, else one for each.
        neighbours: pictures of each domain that a picture is averaged with before it gets a pseudo-label;
            0 takes it alone.
        context: learned vectors in a prompt, M.
        prompt_epochs: length of stage 1.
        prompt_warmup: epochs of stage 1 on cluster labels, before re-pairing by similarity.
        prompt_lr: learning rate of the contexts.
        prompt_temperature: of the prompt losses.
        epochs: length of stage 2.
        encoder_lr: learning rate of CLIP's image tower.
        module_lr: learning rate of everything new.
        prototype_temperature: of L_pce.
        text_temperature: of L_i2tce, and of the weights over prompts.
        prototype_momentum: m, kept share of a prototype at each epoch.
        smoothing: label smoothing of L_i2tce.
        prototype_weight: alpha.
        text_weight: beta.
        heads: attention heads.
        start_weight: of the centred CLIP vector in an embedding, where the trained one has 1: an ensemble
            of zero-shot and fine-tuned outputs (Wortsman et al., CVPR 2022); the paper has 0.
        batch_size: pictures of each domain in a step of stage 2.
        seed: of clusters, prompts and new layers.
    """

    clusters: int
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
    seed: int = 0
