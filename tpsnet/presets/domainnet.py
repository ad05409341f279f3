"""TPSNet on DomainNet with CLIP ViT-B/16, on a GPU, on the published train and test lists.

    tpsnet train clipart sketch runs/cs --preset domainnet --root DomainNet --lists DomainNet/lists

The lists are the published ``clipart_train.txt`` and ``clipart_test.txt`` of each domain. P@k is reported at
50, 100 and 200, as UCDIR (ECCV 2022) and ProtoOT (AAAI 2024) do. The config is INFERRED and not tuned.
"""

from pathlib import Path

from tpsnet.data import AugmentConfig
from tpsnet.experiments import Closed, Experiment, Source
from tpsnet.methods import TPSNetConfig
from tpsnet.training import FitConfig

EXPERIMENT = Experiment(
    pair=("clipart", "sketch"),
    config=TPSNetConfig(),
    protocol=Closed(ks=(50, 100, 200), lists=Path("DomainNet")),
    fit=FitConfig(augment=AugmentConfig(crop_scale=(0.3, 1.0))),
    source=Source(root=Path("DomainNet"), model="ViT-B-16", pretrained="openai", device="cuda"),
)
