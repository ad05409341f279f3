"""Pictures in: folders → ``Domain``, decoded pixels → ``Images``, label-free paired batches."""

from tpsnet.data.augment import Augment, AugmentConfig
from tpsnet.data.batches import PairedBatches
from tpsnet.data.cache import cache_home, load_images
from tpsnet.data.embedded import embedded_root
from tpsnet.data.folder import image_folder, shared_classes
from tpsnet.data.universal import LABEL_SPACES, restrict

__all__ = [
    "LABEL_SPACES",
    "Augment",
    "AugmentConfig",
    "PairedBatches",
    "cache_home",
    "embedded_root",
    "image_folder",
    "load_images",
    "restrict",
    "shared_classes",
]
