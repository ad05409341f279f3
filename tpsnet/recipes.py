"""The rows of the tables: a name, and how its method is made for a pair of domains."""

from collections.abc import Callable

from tpsnet.backbone import Backbone
from tpsnet.engine import Method
from tpsnet.methods import CLAIR, UEM, CLAIRConfig, TPSNet, TPSNetConfig, UEMConfig
from tpsnet.pair import Pair

Recipe = Callable[[Backbone, Pair, int], Method]  # the CLIP, the pictures, a seed


def tpsnet(**changes: object) -> Recipe:
    """TPSNet with as many clusters as there are classes, as in the literature."""
    return lambda backbone, pair, seed: TPSNet(
        backbone, *pair.images, TPSNetConfig(**{"clusters": pair.n_classes, "seed": seed} | changes)
    )


def uem(**changes: object) -> Recipe:
    """UEM, which counts the clusters itself."""
    return lambda backbone, pair, seed: UEM(backbone, *pair.images, UEMConfig(seed=seed, **changes))


def clair(*, true_labels: bool = False, **changes: object) -> Recipe:
    """CLAIR, which is told the names of the classes; with the labels too, for the headroom of its losses."""

    def make(backbone: Backbone, pair: Pair, seed: int) -> CLAIR:
        given = pair.class_rows if true_labels else None
        return CLAIR(backbone, *pair.images, CLAIRConfig(names=pair.class_names, seed=seed, **changes), given)

    return make


# Name of a row, and how its method is made; the floors train nothing, and are centred or not.
FLOORS = {"frozen CLIP": False, "frozen CLIP, centred": True}
TRAINED = {
    "TPSNet": tpsnet(),
    "TPSNet, no text prior": tpsnet(text_prior=False),
    "TPSNet, no phase prior": tpsnet(phase_prior=False),
}
SWITCHES = {
    "TPSNet, the nearest prompt asks": tpsnet(synergy="assigned"),
    "TPSNet, prompts ask the pooled vector": tpsnet(synergy="literal"),
    "TPSNet, each domain clustered alone": tpsnet(joint_clusters=False),
    "TPSNet, the trained vector alone": tpsnet(start_weight=0.0),
}
UNIVERSAL = {
    "UEM": uem(),
    "UEM, merging by eq. 9": uem(merge="global"),
    "UEM, no merging": uem(merge="none"),
    "UEM, no SEL": uem(sel=False),
    "UEM, no SPDA": uem(spda=False),
    "UEM, no SN²M": uem(sn2m=False),
}
ZERO_SHOT = {
    "CLAIR": clair(),
    "CLAIR, labels as the texts say": clair(refined=False),
    "CLAIR, no inter-instance": clair(instance_weight=0.0),
    "CLAIR, no inter-cluster": clair(cluster_weight=0.0),
    "CLAIR, no inter-domain": clair(domain_weight=0.0),
    "CLAIR, no map": clair(map="none"),
    "CLAIR, no learned prompts": clair(context=0, visual_prompts=0),
    "CLAIR, tower frozen": clair(tower_groups=0),
}
HEADROOM = {"CLAIR, true labels": clair(true_labels=True)}
RECIPES = TRAINED | SWITCHES | UNIVERSAL | ZERO_SHOT | HEADROOM
