"""Stage 1 of UEM: an epoch with its clustering, against the same epoch on the clusters of the first one.

Both on two whole embedded domains and the embedded CLIP, with the losses of the prototypes in either. The
elbow, taken once before training, is not in an epoch; its cost is printed in epochs.
"""

import contextlib
import io
import statistics
import time

from tpsnet.backbone import Backbone, load_backbone
from tpsnet.data import Pair, embedded_root, load_pair
from tpsnet.methods import UEM, UEMConfig
from tpsnet.targets import elbow, elbow_grid
from tpsnet.training import fit
from tpsnet.types import Images

EPOCHS, ROUNDS = 4, 3


class ClusteredOnce(UEM):
    """Keeps the prototypes of its first epoch."""

    def prepare(self, images: tuple[Images, Images]) -> None:
        """See ``Method.prepare``."""
        super().prepare(images)
        targets, renew = self.targets, self.targets.renew_prototypes
        targets.renew_prototypes = lambda: 0.0 if targets.unified else renew()


def epochs(method: UEM, pair: Pair) -> list[float]:
    """Seconds of every epoch of stage 1 but the first."""
    with contextlib.redirect_stdout(io.StringIO()):
        rows = fit(method, pair.images)
    return [row["seconds"] for row in rows if row["stage"] == "idse" and row["epoch"]]


def elbow_seconds(backbone: Backbone, pair: Pair) -> tuple[int, float]:
    """The number of clusters of the first domain by the elbow, and what it costs to find."""
    method = UEM(backbone, UEMConfig(clusters=1))
    method.prepare(pair.images)
    bank = method.targets.bank(0)
    began = time.perf_counter()
    return elbow(bank, elbow_grid(len(bank)), seed=0).k, time.perf_counter() - began


def main() -> None:
    """Print the ratio of the medians over alternating runs."""
    backbone = load_backbone()
    pair = load_pair(embedded_root(), ("line", "shaded"), backbone.image_size)
    clusters, spent = elbow_seconds(backbone, pair)
    cfg = UEMConfig(clusters=clusters, idse_epochs=EPOCHS, cdsm_epochs=1, alpha_floor=0.0)
    with_it, without = [], []
    for _ in range(ROUNDS):
        with_it += epochs(UEM(backbone, cfg), pair)
        without += epochs(ClusteredOnce(backbone, cfg), pair)
    epoch = statistics.median(with_it)
    images = len(pair.images[0])
    print(f"2 × {images} images, {clusters} clusters, medians of {len(with_it)} epochs of stage 1")
    print(f"with clustering / without = {epoch / statistics.median(without):.2f}×")
    print(f"the elbow of one domain, once = {spent / epoch:.2f} epochs")


if __name__ == "__main__":
    main()
