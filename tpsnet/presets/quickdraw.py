"""QuickDraw-Ext, 30 unseen classes: zero-shot, 80 seen and 30 unseen classes.

    tpsnet train sketch photo runs/zs --preset quickdraw --root QuickDraw
    tpsnet reproduce quickdraw --root QuickDraw

**Weights and settings.** CLIP ViT-B/16 of OpenAI, and all settings, are ours (INFERRED): CLAIR's paper is
known to us by its abstract. All images of seen classes train, without their labels, as in AMA (AAAI 2024).
"""

from pathlib import Path

from tpsnet.data import AugmentConfig
from tpsnet.experiments import BASELINES, Preset, Source, Sweep, ZeroShot, variants
from tpsnet.training import FitConfig

PRESET = Preset(
    title="QuickDraw-Ext, 30 unseen classes",
    source=Source(
        root=Path("QuickDraw"), dataset="quickdraw", model="ViT-B-16", pretrained="openai", device="cuda"
    ),
    pair=("sketch", "photo"),
    directions=(("sketch", "photo"),),
    sweeps=(
        Sweep(
            protocols=(ZeroShot(split="30", ks=(100, 200)),),
            rows=(*variants("CLAIR", "CLAIR, not trained", "TPSNet", "UEM"), *BASELINES.values()),
            fit=FitConfig(augment=AugmentConfig(crop_scale=(0.3, 1.0))),
        ),
    ),
    split="30",
    receipt=(
        "No figure, no setting and no code of CLAIR is known to us; all settings are ours. mAP is the "
        "field's interpolated one, as SAKE, ZSE-SBIR and AMA compute it.",
    ),
)
