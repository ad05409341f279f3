"""QuickDraw-Ext: doodles and photos of 110 classes (Dey et al., CVPR 2019).

Counts: the paper's are round (330,000 sketches, 204,000 photos), so that no exact number is known to us.
Layout: ``QuickDraw_sketches_final/CLASS`` and ``QuickDraw_images_final/CLASS`` in the authors' archives,
``sketches`` and ``images`` in ZSE-SBIR (CVPR 2023). Spelling: ZSE-SBIR's, which mixes spaces and
underscores ("palm tree", "fire_hydrant"); a folder may have either.

Split "30": the unseen classes of the paper, as ZSE-SBIR lists them.
"""

from tpsnet.data.datasets.dataset import Dataset, DomainFacts, names_in

CLASSES = names_in("quickdraw.txt")
WAYS = (
    str.maketrans(" ", "_"),
    str.maketrans("_", " "),
    str.maketrans("_-", "  "),
    str.maketrans(" -", "__"),
)

QUICKDRAW = Dataset(
    name="quickdraw",
    title="QuickDraw-Ext",
    domains=(
        DomainFacts("photo", known_as=("QuickDraw_images_final", "images")),
        DomainFacts("sketch", known_as=("QuickDraw_sketches_final", "sketches")),
    ),
    classes=CLASSES,
    page="https://sounakdey.github.io/doodle2search.github.io/",
    wrappers=("QuickDraw", "QuickDraw-Extended"),
    spellings={name.translate(way): name for way in WAYS for name in CLASSES},
    splits={"30": names_in("quickdraw_unseen_30.txt")},
)
