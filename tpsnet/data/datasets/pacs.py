"""PACS: seven classes in four domains (Li et al., ICCV 2017).

Counts: the paper's 9,991 images, by domain as DomainBed reads them. Layout: ``DOMAIN/CLASS``, or
``kfold/DOMAIN/CLASS`` in the authors' archive.
"""

from tpsnet.data.datasets.dataset import Dataset, DomainFacts

PACS = Dataset(
    name="pacs",
    title="PACS",
    domains=(
        DomainFacts("art_painting", known_as=("art", "art painting"), images=2048),
        DomainFacts("cartoon", images=2344),
        DomainFacts("photo", images=1670),
        DomainFacts("sketch", images=3929),
    ),
    classes=("dog", "elephant", "giraffe", "guitar", "horse", "house", "person"),
    page="https://www.eecs.qmul.ac.uk/~dl307/project_iccv2017",
    wrappers=("PACS", "kfold", "PACS/kfold"),
)
