"""Office-31: 31 classes of office things, in three domains (Saenko et al., ECCV 2010).

Counts: the image lists of CDTrans (ICLR 2022), 4,110 images. Layout:
``DOMAIN/images/CLASS/frame_0001.jpg``.
"""

from tpsnet.data.datasets.dataset import Dataset, DomainFacts, names_in

OFFICE_31 = Dataset(
    name="office-31",
    title="Office-31",
    domains=(
        DomainFacts("amazon", images=2817),
        DomainFacts("dslr", images=498),
        DomainFacts("webcam", images=795),
    ),
    classes=names_in("office_31.txt"),
    page="https://faculty.cc.gatech.edu/~judy/domainadapt/",
    layouts=("{}/images", "{}", "{}/train"),
)
