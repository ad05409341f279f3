"""What a GPU gives: shares of its measured matrix peak, ranking and metrics, one whole pair.

The peak is what a large bfloat16 product reaches on the card at hand; floating-point operations of a network
are counted, not estimated. The ratio is, for products and towers, the share of the peak; for rankings, how
many times as quick as what stands beside; for a pair, a share of the whole. Each line names the card. Run
``python -m benchmarks.gpu``: some minutes; without a GPU it says so and ends. ``--device cpu --quick`` runs
all of it in small on a processor.
"""

import contextlib
import io
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
import tyro
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.metrics import plain_closed
from tools.timing import clustered, fastest, machine, pictures, processor, random_clip, table, wait
from tpsnet.backbone import Backbone, embed_all, load_backbone
from tpsnet.backbone.embed import autocast
from tpsnet.evaluation import RERANKINGS, evaluate, rank, rerank
from tpsnet.methods import METHODS
from tpsnet.neighbours.search import nearest
from tpsnet.training import fit
from tpsnet.types import Embeddings

HEAD = ("measured", "value", "beside", "ratio", "card")
Row = tuple[str, str, str, float, str]


def peak(device: str, size: int, rounds: int) -> float:
    """Floating-point operations a second of a square bfloat16 product."""
    a, b = (torch.randn(size, size, device=device).to(torch.bfloat16) for _ in range(2))
    a @ b
    return 2 * size**3 / fastest({"product": lambda: a @ b}, rounds)["product"]


def products(device: str, quick: bool) -> Iterator[tuple[str, str, str, float]]:
    """The matrix products of ViT-B/16's layers by themselves: more than their share no encoder can reach."""
    most = peak(device, 512 if quick else 8192, 2 if quick else 20)
    rows = (8 if quick else 256) * 197  # tokens of a batch
    for name, n, m in (
        ("q, k, v", 768, 2304),
        ("heads joined", 768, 768),
        ("MLP in", 768, 3072),
        ("MLP out", 3072, 768),
    ):
        x, weight = (torch.randn(k, n, device=device).to(torch.bfloat16) for k in (rows, m))
        product = partial(F.linear, x, weight)
        product()
        taken = fastest({"product": product}, 2 if quick else 20)["product"]
        speed, beside = 2 * rows * n * m / taken, f"peak {most / 1e12:.3g} TFLOP/s"
        yield f"product {rows} × {n} × {m} ({name})", f"{speed / 1e12:.3g} TFLOP/s", beside, speed / most


def operations(backbone: Backbone) -> int:
    """Floating-point operations of the image tower for one image."""
    blank = torch.zeros(1, 3, *backbone.resize.sides, device=backbone.mean.device)
    with FlopCounterMode(display=False) as counter:
        backbone.tower(blank)
    return counter.get_total_flops()


def network(device: str, quick: bool) -> Backbone:
    """ViT-B/16 with random weights, or the embedded CLIP."""
    return load_backbone().to(device) if quick else random_clip("ViT-B-16", device)


def named(quick: bool) -> str:
    """The network's name."""
    return "embedded CLIP" if quick else "ViT-B/16"


def tower_shares(device: str, quick: bool) -> Iterator[tuple[str, str, str, float]]:
    """Encoding and training of the tower as shares of the peak, and encoding from the processor's memory."""
    most = peak(device, 512 if quick else 8192, 2 if quick else 20)
    beside = f"peak {most / 1e12:.3g} TFLOP/s"
    backbone, batch = network(device, quick), 8 if quick else 256
    each, rounds = operations(backbone), 1 if quick else 10
    images = pictures("a", batch, backbone.resize.sides[0])
    x = images.pixels.to(device).float().div_(255)

    @torch.no_grad()
    def encode() -> None:
        with autocast(device):
            backbone.encode_image(x)

    def train() -> None:
        with autocast(device):
            loss = backbone.encode_image(x).sum()
        loss.backward()
        backbone.tower.zero_grad(set_to_none=True)

    def whole() -> None:
        embed_all(backbone.encode_image, images, device=device, batch_size=batch)

    steps: dict[str, tuple[Callable[[], None], int]] = {
        "encode, on the card": (encode, 1),
        "encode, from the processor's memory": (whole, 1),
        "train: forward and backward": (train, 3),
    }
    for name, (step, passes) in steps.items():
        step()
        speed = batch / fastest({name: step}, rounds)[name]
        yield f"{named(quick)}, {name}", f"{speed:.4g} images/s", beside, passes * each * speed / most


def rankings(device: str, quick: bool) -> Iterator[tuple[str, str, str, float]]:
    """Metrics and ranking on the device against plain NumPy on the processor, and faiss against torch."""
    n, m = (100, 200) if quick else (4439, 4365)
    both = (
        clustered("query", n, 20 if quick else 65, 512, 1),
        clustered("gallery", m, 20 if quick else 65, 512, 2),
    )
    there, here = evaluate(*both, device=device), evaluate(*both)
    assert there.precision == here.precision and abs(there.mean_ap - here.mean_ap) < 1e-9, (there, here)
    ways = {"ours": lambda: evaluate(*both, device=device), "plain": lambda: plain_closed(*both)}
    taken, rounds = fastest(ways, 1 if quick else 3), 1 if quick else 5
    beside = f"NumPy's loops {taken['plain']:.3g} s on {processor()}"
    yield f"P@k and mAP, {n} × {m}", f"{1000 * taken['ours']:.3g} ms", beside, taken["plain"] / taken["ours"]

    moved = [on(part, device) for part in both]
    vectors = [part.vectors.numpy() for part in both]
    ways = {
        "ours": lambda: rank(*moved, k=15),
        "plain": lambda: np.argpartition(-(vectors[0] @ vectors[1].T), 15, axis=1)[:, :15],
    }
    assert rank(*moved, k=15).indices.cpu().equal(rank(*both, k=15).indices)
    taken = fastest(ways, rounds)
    beside = f"NumPy's partition, unordered, {taken['plain']:.3g} s"
    yield f"rank, k = 15, {n} × {m}", f"{1000 * taken['ours']:.3g} ms", beside, taken["plain"] / taken["ours"]
    yield from engines(device, 2_000 if quick else 100_000, rounds)


def engines(device: str, size: int, rounds: int) -> Iterator[tuple[str, str, str, float]]:
    """Neighbours in a large gallery: torch on the device, and faiss on the GPU where it is built for one."""
    import faiss

    queries, gallery = (
        clustered(name, k, 65, 512, i).vectors for i, (name, k) in enumerate((("q", 1000), ("g", size)))
    )
    on_device = queries.to(device), gallery.to(device)
    ways = {
        "torch": lambda: nearest(*on_device, 15),
        "faiss": lambda: nearest(queries, gallery, 15, engine="faiss"),
    }
    kind = "GPU" if hasattr(faiss, "StandardGpuResources") and faiss.get_num_gpus() else "processor"
    taken = fastest(ways, rounds)
    beside = f"faiss on the {kind} {1000 * taken['faiss']:.3g} ms"
    yield (
        f"15 nearest, 1000 × {size}",
        f"{1000 * taken['torch']:.3g} ms",
        beside,
        taken["faiss"] / taken["torch"],
    )


def whole_pair(device: str, quick: bool) -> Iterator[tuple[str, str, str, float]]:
    """One pair of Office-Home's size from pixels to scores: TPSNet, ViT-B/16 with random weights."""
    n, m, clusters = (24, 40, 4) if quick else (2427, 4365, 65)
    backbone = network(device, quick)
    images = (
        pictures("Art", n, backbone.resize.sides[0], 1),
        pictures("Product", m, backbone.resize.sides[0], 2),
    )
    method = METHODS["TPSNet"].method(
        backbone, METHODS["TPSNet"].config(clusters=clusters, **({"epochs": 2} if quick else {}))
    )
    labels = [torch.arange(len(x)) % clusters for x in images]
    names = tuple(map(str, range(clusters)))
    clock, spent = time.perf_counter(), {}

    def lap(name: str) -> None:
        nonlocal clock
        wait()
        spent[name] = time.perf_counter() - clock
        clock = time.perf_counter()

    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        method.prepare(images)
        lap("views encoded, clustered")
        fit(method, images)
        lap("trained")
        both = tuple(
            Embeddings(x.name, method.embed(x), y, names, (Path(),) * len(x))
            for x, y in zip(images, labels, strict=True)
        )
        lap("embedded")
        for way in (both, both[::-1]):
            evaluate(*way, device=device)
            for rule in RERANKINGS:
                evaluate(*rerank(way, rule, known_queries=True), device=device)
        lap("scored, re-ranked twice")
    total = sum(spent.values())
    for name, seconds in spent.items():
        yield (
            f"{named(quick)}, {n} + {m} images: {name}",
            f"{seconds:.3g} s",
            f"of {total:.3g} s",
            seconds / total,
        )


def on(part: Embeddings, device: str) -> Embeddings:
    """The embeddings on a device."""
    return Embeddings(
        part.domain, part.vectors.to(device), part.labels.to(device), part.class_names, part.paths
    )


def main(device: str = "cuda", quick: bool = False) -> None:
    """Print one table.

    Args:
        device: Where to compute.
        quick: Whether a small part is enough, to see that it runs.
    """
    if device.startswith("cuda") and not torch.cuda.is_available():
        print("no GPU here: nothing to measure")
        return
    card = torch.cuda.get_device_name(device) if device.startswith("cuda") else processor()
    parts = (part(device, quick) for part in (products, tower_shares, rankings, whole_pair))
    print(machine("open_clip_torch"), "\n")
    table(HEAD, ((*row, card) for part in parts for row in part))


if __name__ == "__main__":
    tyro.cli(main)
