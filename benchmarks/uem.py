"""Stage 1 of UEM: an epoch with its clustering, against the same epoch on the clusters of the first one.

Both on two whole embedded domains and the embedded CLIP, with the losses of the prototypes in either. The
elbow, taken once before training, is not in an epoch; its cost is printed in epochs.
"""

import contextlib
import io
import statistics
import time

import tyro

from tools.timing import machine, table
from tpsnet.backbone import Backbone, load_backbone
from tpsnet.data import Pair, embedded_root, load_pair
from tpsnet.methods import UEM, UEMConfig
from tpsnet.targets import elbow, elbow_grid
from tpsnet.training import fit
from tpsnet.types import Images

EPOCHS, ROUNDS = 4, 2


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


def main(quick: bool = False) -> None:
    """Print the ratio of the medians over alternating runs.

    Args:
        quick: Whether a small part is enough, to see that it runs.
    """
    backbone = load_backbone()
    pair = load_pair(embedded_root(), ("line", "shaded"), backbone.resize)
    pair = pair.subset((range(60), range(60))) if quick else pair
    clusters, spent = elbow_seconds(backbone, pair)
    cfg = UEMConfig(clusters=clusters, idse_epochs=2 if quick else EPOCHS, cdsm_epochs=1, alpha_floor=0.0)
    with_it, without = [], []
    for _ in range(1 if quick else ROUNDS):
        with_it += epochs(UEM(backbone, cfg), pair)
        without += epochs(ClusteredOnce(backbone, cfg), pair)
    epoch, plain = statistics.median(with_it), statistics.median(without)
    print(machine(), f"medians of {len(with_it)} epochs of stage 1\n", sep="; ")
    head = ["images", "clusters", "with clustering / without", "the elbow of one domain, once, in epochs"]
    table(
        head, [[f"2 × {len(pair.images[0])}", clusters, epoch / max(plain, 1e-2), spent / max(epoch, 1e-2)]]
    )


if __name__ == "__main__":
    tyro.cli(main)
