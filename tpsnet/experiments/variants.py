"""The rows of tables: a name, a method, and how its config departs from the default."""

from dataclasses import dataclass

from tpsnet.methods import (
    METHODS,
    CLAIRConfig,
    FrozenConfig,
    TPSNetConfig,
    TPSNetPrintedConfig,
    UEMConfig,
    UEMPrintedConfig,
)


@dataclass(frozen=True)
class Variant:
    """A row of a table.

    Attributes:
        name: What tables and folders call it.
        method: Its key in ``METHODS``.
        config: The method's config; what the protocol tells and the seed are filled in by ``run``.
        oracle: Whether training is given the true labels, to show what better pseudo-labels could bring.
    """

    name: str
    method: str
    config: object
    oracle: bool = False

    @property
    def trains(self) -> bool:
        """Whether a seed of training matters."""
        return self.method != "Frozen"

    @property
    def needs_clip(self) -> bool:
        """Whether the backbone must have texts."""
        return METHODS[self.method].needs_clip


def _variants(method: str, **configs: object) -> dict[str, Variant]:
    return {name: Variant(name, method, config) for name, config in configs.items()}


BASELINES = _variants(
    "Frozen",
    **{
        "frozen CLIP": FrozenConfig(),
        "frozen CLIP, centred": FrozenConfig(centred=True),
        "frozen CLIP, centred + flip": FrozenConfig(centred=True, flipped=True),
    },
)
TRAINED = _variants(
    "TPSNet",
    **{
        "TPSNet": TPSNetConfig(),
        "TPSNet, no text prior": TPSNetConfig(text_weight=0.0),
        "TPSNet, no phase prior": TPSNetConfig(phase_prior=False),
        "TPSNet, no figure view": TPSNetConfig(figure_view=False),
        "TPSNet, not trained": TPSNetConfig(prompt_epochs=0, epochs=0),
    },
)
PRINTED = _variants("TPSNetPrinted", **{"TPSNet, as printed": TPSNetPrintedConfig()}) | _variants(
    "UEMPrinted", **{"UEM, as printed": UEMPrintedConfig()}
)
UNIVERSAL = _variants(
    "UEM",
    **{
        "UEM": UEMConfig(),
        "UEM, merging by eq. 9": UEMConfig(merge="global"),
        "UEM, no merging": UEMConfig(merge="none"),
        "UEM, no SEL": UEMConfig(sel=False),
        "UEM, no SPDA": UEMConfig(spda=False),
        "UEM, no SN²M": UEMConfig(sn2m=False),
    },
)
ZERO_SHOT = _variants(
    "CLAIR",
    **{
        "CLAIR": CLAIRConfig(),
        "CLAIR, labels as the texts say": CLAIRConfig(refined=False),
        "CLAIR, no inter-instance": CLAIRConfig(instance_weight=0.0),
        "CLAIR, no inter-cluster": CLAIRConfig(cluster_weight=0.0),
        "CLAIR, no inter-domain": CLAIRConfig(domain_weight=0.0),
        "CLAIR, no map": CLAIRConfig(map="none"),
        "CLAIR, no learned prompts": CLAIRConfig(context=0),
        "CLAIR, not trained": CLAIRConfig(context=0, trained_share=0.0, epochs=0),
    },
)
ORACLE = {"CLAIR, true labels": Variant("CLAIR, true labels", "CLAIR", CLAIRConfig(), oracle=True)}
VARIANTS = BASELINES | TRAINED | PRINTED | UNIVERSAL | ZERO_SHOT | ORACLE
