"""Stage 1 of UEM: an epoch with its clustering, against the same epoch on the clusters of the first one.

Both on two whole embedded domains and the embedded CLIP, with the losses of the prototypes in either. The
elbow, asked once before training, is not in an epoch; its cost is printed in epochs.
"""

import contextlib
import io
import statistics
import time

from tpsnet.backbone import embedded_clip, load_backbone
from tpsnet.data import embedded_root
from tpsnet.engine import fit
from tpsnet.methods import UEM, UEMConfig
from tpsnet.pair import Pair, load_pair
from tpsnet.targets import elbow, grid

EPOCHS, ROUNDS = 4, 3


class ClusteredOnce(UEM):
    """Keeps the prototypes of its first epoch."""

    def _renew_prototypes(self) -> dict[str, float]:
        return {} if self.unified else super()._renew_prototypes()


def epochs(kind: type[UEM], pair: Pair, method_args: tuple) -> list[float]:
    """Seconds of every epoch of stage 1 but the first."""
    method = kind(*method_args)
    with contextlib.redirect_stdout(io.StringIO()):
        rows = fit(method, pair.images)
    return [row["seconds"] for row in rows if row["stage"] == "idse" and row["epoch"]]


def main() -> None:
    """Print the ratio of the medians over alternating runs."""
    backbone = load_backbone(embedded_clip())
    pair = load_pair(embedded_root(), ("line", "shaded"), backbone.image_size)
    memory = UEM(backbone, *pair.images, UEMConfig(clusters=1)).memory0
    began = time.perf_counter()
    found = elbow(memory, grid(len(memory)), seed=0).k
    asked = time.perf_counter() - began
    cfg = UEMConfig(clusters=found, idse_epochs=EPOCHS, cdsm_epochs=1, alpha_floor=0.0)
    args = (backbone, *pair.images, cfg)
    with_it, without = [], []
    for _ in range(ROUNDS):
        with_it += epochs(UEM, pair, args)
        without += epochs(ClusteredOnce, pair, args)
    epoch = statistics.median(with_it)
    print(f"2 × {len(memory)} pictures, {found} clusters, medians of {len(with_it)} epochs of stage 1")
    print(f"with clustering / without = {epoch / statistics.median(without):.2f}×")
    print(f"the elbow of one domain, once = {asked / epoch:.2f} epochs")


if __name__ == "__main__":
    main()
