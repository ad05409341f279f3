"""Images in: folders → ``Domain``, pixels → ``Images``, two of each → ``Pair``; label-free batches."""

from tpsnet.data.augment import Augment, AugmentConfig
from tpsnet.data.batches import PairedBatches
from tpsnet.data.cache import cache_home, load_images
from tpsnet.data.embedded import embedded_root, embedded_unseen
from tpsnet.data.folder import image_folder, shared_classes
from tpsnet.data.lists import listed
from tpsnet.data.pair import Pair, load_pair
from tpsnet.data.shapes import Shape, write_shape
from tpsnet.data.styles import style_of
from tpsnet.data.universal import LABEL_SPACES, restrict
from tpsnet.data.unlabelled import single_image, unlabelled_folder
from tpsnet.data.zero_shot import ZeroShotSplit, zero_shot_split

__all__ = [
    "LABEL_SPACES",
    "Augment",
    "AugmentConfig",
    "Pair",
    "PairedBatches",
    "Shape",
    "ZeroShotSplit",
    "cache_home",
    "embedded_root",
    "embedded_unseen",
    "image_folder",
    "listed",
    "load_images",
    "load_pair",
    "restrict",
    "shared_classes",
    "single_image",
    "style_of",
    "unlabelled_folder",
    "write_shape",
    "zero_shot_split",
]
