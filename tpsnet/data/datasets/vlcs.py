"""VLCS: five classes of four collections of photographs (Fang et al., ICCV 2013).

Counts: the literature's, 10,729 images; by domain they are INFERRED, no list was at hand to count them.
Layout: DomainBed's ``DOMAIN/CLASS``. Archives that divide a domain into ``train``, ``test`` and
``crossval`` are not read.
"""

from tpsnet.data.datasets.dataset import Dataset, DomainFacts

VLCS = Dataset(
    name="vlcs",
    title="VLCS",
    domains=(
        DomainFacts("Caltech101", images=1415),
        DomainFacts("LabelMe", images=2656),
        DomainFacts("SUN09", images=3282),
        DomainFacts("VOC2007", images=3376),
    ),
    classes=("bird", "car", "chair", "dog", "person"),
    page="https://github.com/facebookresearch/DomainBed",
    wrappers=("VLCS",),
)
