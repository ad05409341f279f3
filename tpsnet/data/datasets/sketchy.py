"""Sketchy-Ext: sketches and photos of 125 classes (Sangkloy et al., SIGGRAPH 2016; Liu et al., CVPR 2017).

Counts: 75,471 sketches on the data set's page. 85,502 photos in the lists of SAKE (ICCV 2019) and ZSE-SBIR
(CVPR 2023): 12,500 of Sketchy, and 73,002 in the folder of the extension. Papers give 73,002, the extension
alone. Layout: ``256x256/{photo,sketch}/tx_000000000000/CLASS`` and ``EXTEND_image_sketchy/CLASS``; SAKE
adds ``_ready`` to both, ProS (CVPR 2024) has ``photo``, ``sketch`` and ``extended_photo`` and two classes
with underscores for dashes.

Split "25": the random split of Shen et al. (CVPR 2018), as SAKE and ZSE-SBIR list it. Split "21": the
classes that ImageNet's 1,000 lack, of Yelamarthi et al. (ECCV 2018).
"""

from tpsnet.data.datasets.dataset import Dataset, DomainFacts, names_in

SKETCHY = Dataset(
    name="sketchy",
    title="Sketchy-Ext",
    domains=(
        DomainFacts(
            "photo",
            images=85502,
            extensions=("EXTEND_image_sketchy_ready", "EXTEND_image_sketchy", "extended_photo"),
        ),
        DomainFacts("sketch", images=75471),
    ),
    classes=names_in("sketchy.txt"),
    page="https://sketchy.eye.gatech.edu/",
    wrappers=("Sketchy", "256x256"),
    layouts=(
        "256x256/{}/tx_000000000000_ready",
        "256x256/{}/tx_000000000000",
        "{}/tx_000000000000_ready",
        "{}/tx_000000000000",
        "{}",
    ),
    spellings={"hot_air_balloon": "hot-air_balloon", "jack_o_lantern": "jack-o-lantern"},
    splits={"25": names_in("sketchy_unseen_25.txt"), "21": names_in("sketchy_unseen_21.txt")},
)
