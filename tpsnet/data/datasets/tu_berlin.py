"""TU-Berlin-Ext: sketches and photos of 250 classes (Eitz et al., SIGGRAPH 2012; Zhang et al., CVPR 2016).

Counts: 20,000 sketches, 80 a class, on the data set's page. The number of photos is not known to us
exactly: papers disagree. Layout: ``png/CLASS`` and ``ImageResized/CLASS``; SAKE (ICCV 2019) adds ``_ready``
to both, ProS (CVPR 2024) has ``sketches`` and ``images``. Spelling: the sketches have spaces and dashes
("alarm clock", "t-shirt"), which are the names here; the photos run words together, with slips
("alarmclock", "tshirt", "griaffe"), as ProS' download script shows; peers write underscores.

Split "30": the random split of Shen et al. (CVPR 2018), as SAKE and ZSE-SBIR list it.
"""

from tpsnet.data.datasets.dataset import Dataset, DomainFacts, names_in

CLASSES = names_in("tu_berlin.txt")
SLIPS = {
    "chandeler": "chandelier",
    "diamod": "diamond",
    "griaffe": "giraffe",
    "mouse": "mouse (animal)",
    "pipe": "pipe (for smoking)",
    "spacesshuttle": "space shuttle",
    "spidar": "spider",
    "tromobone": "trombone",
    "wristwatching": "wrist-watch",
}
UNDERSCORES = str.maketrans(" ", "_")
NO_DASHES = str.maketrans(" -", "__")
TOGETHER = str.maketrans("", "", " -()")

TU_BERLIN = Dataset(
    name="tu-berlin",
    title="TU-Berlin-Ext",
    domains=(
        DomainFacts("photo", known_as=("ImageResized_ready", "ImageResized", "images")),
        DomainFacts("sketch", known_as=("png_ready", "png", "sketches"), images=20000),
    ),
    classes=CLASSES,
    page="https://cybertron.cg.tu-berlin.de/eitz/projects/classifysketch/",
    terms="CC BY 4.0 for the sketches; not known to us for the photos",
    wrappers=("TUBerlin", "TU-Berlin"),
    spellings={
        **{name.translate(way): name for way in (UNDERSCORES, NO_DASHES, TOGETHER) for name in CLASSES},
        **SLIPS,
    },
    splits={"30": names_in("tu_berlin_unseen_30.txt")},
)
