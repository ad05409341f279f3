"""Images in: folders → ``Domain``, pixels → ``Images``, two of each → ``Pair``; label-free batches."""

from tpsnet.data.augment import Augment, AugmentConfig
from tpsnet.data.batches import PairedBatches
from tpsnet.data.cache import decoded_image, decoded_images, disk_need, left_behind, load_images
from tpsnet.data.datasets import DATASETS, Dataset, Differences, DomainFacts, differences
from tpsnet.data.decode import decode, decoded, resized
from tpsnet.data.embedded import embedded_root, embedded_unseen
from tpsnet.data.folder import compared, image_folder, shared_classes
from tpsnet.data.home import cache_home, check_room
from tpsnet.data.lists import listed
from tpsnet.data.pair import Pair, load_pair
from tpsnet.data.shapes import Shape, write_shape
from tpsnet.data.spelling import Spelling, label
from tpsnet.data.styles import style_of
from tpsnet.data.universal import LABEL_SPACES, restrict
from tpsnet.data.unlabelled import single_image, unlabelled_folder
from tpsnet.data.zero_shot import ZeroShotSplit, zero_shot_split

__all__ = [
    "DATASETS",
    "LABEL_SPACES",
    "Augment",
    "AugmentConfig",
    "Dataset",
    "Differences",
    "DomainFacts",
    "Pair",
    "PairedBatches",
    "Shape",
    "Spelling",
    "ZeroShotSplit",
    "cache_home",
    "check_room",
    "compared",
    "decode",
    "decoded",
    "decoded_image",
    "decoded_images",
    "differences",
    "disk_need",
    "embedded_root",
    "embedded_unseen",
    "image_folder",
    "label",
    "left_behind",
    "listed",
    "load_images",
    "load_pair",
    "resized",
    "restrict",
    "shared_classes",
    "single_image",
    "style_of",
    "unlabelled_folder",
    "write_shape",
    "zero_shot_split",
]
