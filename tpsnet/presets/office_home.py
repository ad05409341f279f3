"""TPSNet on Office-Home with CLIP ViT-B/16, on a GPU.

    tpsnet train Art Clipart runs/ac --preset office_home --root OfficeHome

The paper's backbone is a ViT-B (arXiv:2603.12711); its hyper-parameters are not known to us. Ours here are
INFERRED and not tuned: fine-tuning a large CLIP wants rates far below those of the embedded one, crops of
photographs may be tighter than those of drawings, and 65 classes are preset, as in the literature.
"""

from pathlib import Path

from tpsnet.data import AugmentConfig
from tpsnet.experiments import Closed, Experiment, Source
from tpsnet.methods import TPSNetConfig
from tpsnet.training import FitConfig

EXPERIMENT = Experiment(
    pair=("Art", "Clipart"),
    config=TPSNetConfig(encoder_lr=1e-6, module_lr=1e-4),
    protocol=Closed(ks=(1, 5, 15)),
    fit=FitConfig(augment=AugmentConfig(crop_scale=(0.3, 1.0))),
    source=Source(root=Path("OfficeHome"), model="ViT-B-16", pretrained="openai", device="cuda"),
)
