"""TPSNet on Office-Home with CLIP ViT-B/16, on a GPU.

    tpsnet train Art Clipart runs/ac --preset office_home --root OfficeHome

The paper's backbone is a ViT-B (arXiv:2603.12711); its hyper-parameters are not known to us. Ours are the
defaults, INFERRED and not tuned on photographs; 65 classes are preset, as in the literature. With ``--method
TPSNetPrinted``, which fine-tunes the tower, give ``--encoder-lr 1e-6 --module-lr 1e-4``: a large CLIP wants
rates far below those of the embedded one.
"""

from pathlib import Path

from tpsnet.data import AugmentConfig
from tpsnet.experiments import Closed, Experiment, Source
from tpsnet.methods import TPSNetConfig
from tpsnet.training import FitConfig

EXPERIMENT = Experiment(
    pair=("Art", "Clipart"),
    config=TPSNetConfig(),
    protocol=Closed(ks=(1, 5, 15)),
    fit=FitConfig(augment=AugmentConfig(crop_scale=(0.3, 1.0))),
    source=Source(root=Path("OfficeHome"), model="ViT-B-16", pretrained="openai", device="cuda"),
)
