"""DomainNet, 45 unseen classes: zero-shot, 300 seen and 45 unseen classes, the gallery is Real.

    tpsnet train sketch real runs/zs --preset domainnet_zs --root DomainNet
    tpsnet reproduce domainnet_zs --root DomainNet

**Weights and settings.** CLIP ViT-B/16 of OpenAI, and all settings, are ours (INFERRED): CLAIR's paper is
known to us by its abstract. Queries of the five other domains, as in UCDR (ICCV 2021) and ProS (CVPR 2024),
which invert sketches and doodles: we do not.
"""

from pathlib import Path

from tpsnet.data import AugmentConfig
from tpsnet.experiments import BASELINES, Preset, Source, Sweep, ZeroShot, variants
from tpsnet.training import FitConfig

PRESET = Preset(
    title="DomainNet, 45 unseen classes",
    source=Source(
        root=Path("DomainNet"), dataset="domainnet", model="ViT-B-16", pretrained="openai", device="cuda"
    ),
    pair=("sketch", "real"),
    directions=(*((query, "real") for query in ("sketch", "quickdraw", "painting", "infograph", "clipart")),),
    sweeps=(
        Sweep(
            protocols=(ZeroShot(split="45", ks=(100, 200)),),
            rows=(*variants("CLAIR", "CLAIR, not trained", "TPSNet", "UEM"), *BASELINES.values()),
            fit=FitConfig(augment=AugmentConfig(crop_scale=(0.3, 1.0))),
        ),
    ),
    split="45",
    receipt=(
        "No figure, no setting and no code of CLAIR is known to us; all settings are ours. mAP is the "
        "field's interpolated one, as SAKE, ZSE-SBIR and AMA compute it.",
    ),
)
