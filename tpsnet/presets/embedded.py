"""TPSNet on two of the embedded domains, with the embedded CLIP: no network, minutes on a laptop.

    tpsnet train line rendered runs/first --preset embedded

The defaults of all configs were chosen on these images, so nothing departs from them.
"""

from tpsnet.experiments import Closed, Experiment
from tpsnet.methods import TPSNetConfig

EXPERIMENT = Experiment(pair=("line", "rendered"), config=TPSNetConfig(), protocol=Closed())
