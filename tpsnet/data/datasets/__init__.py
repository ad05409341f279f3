"""The data sets of the field by name: what they hold, how their folders lie, where they come from."""

from tpsnet.data.datasets.check import Differences, differences
from tpsnet.data.datasets.dataset import Dataset, DomainFacts
from tpsnet.data.datasets.domainnet import DOMAINNET, DOMAINNET_7
from tpsnet.data.datasets.office_31 import OFFICE_31
from tpsnet.data.datasets.office_home import OFFICE_HOME
from tpsnet.data.datasets.pacs import PACS
from tpsnet.data.datasets.quickdraw import QUICKDRAW
from tpsnet.data.datasets.sketchy import SKETCHY
from tpsnet.data.datasets.tu_berlin import TU_BERLIN
from tpsnet.data.datasets.vlcs import VLCS

DATASETS: dict[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        OFFICE_HOME,
        OFFICE_31,
        DOMAINNET,
        DOMAINNET_7,
        PACS,
        VLCS,
        SKETCHY,
        TU_BERLIN,
        QUICKDRAW,
    )
}

__all__ = ["DATASETS", "Dataset", "Differences", "DomainFacts", "differences"]
