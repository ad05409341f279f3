"""DomainNet: 345 classes in six domains (Peng et al., ICCV 2019), and the seven classes that retrieval uses.

Counts: the cleaned version on the data set's page, 586,575 images; the original one has 596,010, so that
some are superfluous there. Painting's train list has no t-shirt. Layout:
``DOMAIN/CLASS/DOMAIN_001_000001.jpg``; UCDIR (ECCV 2022) reads ``DOMAIN/train/CLASS``, and "train" is a
class too. The lists are ``DOMAIN_train.txt`` and ``DOMAIN_test.txt``, see ``data.listed``.

Seven classes: the subset of ProtoOT (AAAI 2024) and UEM (NeurIPS 2024), the classes with more than 200
images in every domain, training and test images together. Their number in real is not known to us: no train
list of it was at hand. Split "45": the unseen classes of UCDR (ICCV 2021) and ProS (CVPR 2024); the other
300 are seen.
"""

import dataclasses

from tpsnet.data.datasets.dataset import Dataset, DomainFacts, names_in

SEVEN = ("bird", "feather", "teapot", "tiger", "whale", "windmill", "zebra")

DOMAINNET = Dataset(
    name="domainnet",
    title="DomainNet",
    domains=(
        DomainFacts("clipart", images=48129),
        DomainFacts("infograph", images=51605),
        DomainFacts("painting", images=72266, lacks=("t-shirt",)),
        DomainFacts("quickdraw", images=172500),
        DomainFacts("real", images=172947),
        DomainFacts("sketch", images=69128),
    ),
    classes=names_in("domainnet.txt"),
    page="https://ai.bu.edu/M3SDA/",
    splits={"45": names_in("domainnet_unseen_45.txt")},
    layouts=("{}", "{}/train"),
    lists=("", "lists", "splits", "txt"),
)

DOMAINNET_7 = dataclasses.replace(
    DOMAINNET,
    name="domainnet-7",
    title="DomainNet, seven classes",
    domains=(
        DomainFacts("clipart", images=1959),
        DomainFacts("infograph", images=2121),
        DomainFacts("painting", images=2415),
        DomainFacts("quickdraw", images=3500),
        DomainFacts("real"),
        DomainFacts("sketch", images=2091),
    ),
    classes=SEVEN,
    whole=tuple(name for name in DOMAINNET.classes if name not in SEVEN),
    splits={},
)
