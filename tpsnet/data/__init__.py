"""Pictures in: folders → ``Domain``, decoded pixels → ``Images``, label-free paired batches."""

from tpsnet.data.augment import Augment, AugmentConfig
from tpsnet.data.batches import PairedBatches
from tpsnet.data.cache import cache_home, load_images
from tpsnet.data.embedded import embedded_root, embedded_unseen
from tpsnet.data.folder import image_folder, shared_classes
from tpsnet.data.universal import LABEL_SPACES, restrict
from tpsnet.data.zero_shot import ZeroShotSplit, zero_shot_split

__all__ = [
    "LABEL_SPACES",
    "Augment",
    "AugmentConfig",
    "PairedBatches",
    "ZeroShotSplit",
    "cache_home",
    "embedded_root",
    "embedded_unseen",
    "image_folder",
    "load_images",
    "restrict",
    "shared_classes",
    "zero_shot_split",
]
