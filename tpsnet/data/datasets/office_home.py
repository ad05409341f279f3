"""Office-Home: 65 classes of things in office and home, in four domains (Venkateswara et al., CVPR 2017).

Counts: the image lists of CDTrans (ICLR 2022), 15,588 images. Layout: the archive holds
``OfficeHomeDataset_10072016/{Art,Clipart,Product,Real World}/CLASS/00001.jpg``; UCDIR (ECCV 2022) reads
``DOMAIN/train/CLASS``, and peers call "Real World" ``Real_World``, ``RealWorld`` or ``Real``.
"""

from tpsnet.data.datasets.dataset import Dataset, DomainFacts, names_in

OFFICE_HOME = Dataset(
    name="office-home",
    title="Office-Home",
    domains=(
        DomainFacts("Art", images=2427),
        DomainFacts("Clipart", images=4365),
        DomainFacts("Product", images=4439),
        DomainFacts("Real World", known_as=("Real_World", "RealWorld", "Real"), images=4357),
    ),
    classes=names_in("office_home.txt"),
    page="https://hemanthdv.org/OfficeHome-Dataset/",
    wrappers=("OfficeHomeDataset_10072016",),
    layouts=("{}", "{}/train"),
)
