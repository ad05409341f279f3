"""Decoding: the cache against torchvision's ImageFolder with a DataLoader, and how all grows with the images.

First come ratios of times from this run: building the cache and reading batches from it beside the DataLoader
with two workers and the same resize, decoding in threads beside processes, and a training step beside the
reading of its batch. Then seconds and peak memory of a process for each stage of a tree of generated images:
decoding, a second start, embedding and search.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
import tyro
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import InterpolationMode, v2

from tools.timing import random_clip
from tpsnet.backbone import embed_all, load_backbone
from tpsnet.data import cache_home, decode, image_folder, load_images, resized
from tpsnet.evaluation import rank
from tpsnet.types import Embeddings, Images, Resize

SIDE, ROUNDS, BATCH, WORKERS = 224, 3, 64, 2
CLASSES, SMALL, QUERIES = 100, 64, 1000
DIM = 128  # of the stand-in encoder


def photograph(rng: np.random.Generator) -> Image.Image:
    """Smooth shapes with grain, of an odd size between 300 and 700 px."""
    width, height = rng.integers(150, 350, 2) * 2 + 1
    small = Image.fromarray(rng.integers(0, 255, (12, 16, 3), dtype=np.uint8))
    smooth = np.asarray(small.resize((int(width), int(height)), Image.Resampling.BICUBIC)).astype(int)
    return Image.fromarray((smooth + rng.integers(-12, 12, smooth.shape)).clip(0, 255).astype(np.uint8))


def photographs(root: Path, n: int) -> Path:
    """A domain of JPEG files in eight classes; returns its folder."""
    rng = np.random.default_rng(0)
    for i in range(n):
        file = root / "photos" / f"class{i % 8}" / f"{i}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        photograph(rng).save(file, quality=90)
    return root / "photos"


def small_images(root: Path, n: int) -> None:
    """A domain of ``n`` JPEG files: 50 pictures, each with another comment, so that all bytes differ."""
    rng, contents = np.random.default_rng(0), []
    for _ in range(50):
        buffer = BytesIO()
        pattern = Image.fromarray(rng.integers(0, 255, (5, 6, 3), dtype=np.uint8))
        pattern.resize((80, 72), Image.Resampling.BICUBIC).save(buffer, "JPEG")
        contents.append(buffer.getvalue())
    for i in range(n):
        file = root / "small" / f"class{i % CLASSES:02}" / f"{i:06}.jpg"
        if i < CLASSES:
            file.parent.mkdir(parents=True)
        comment = b"\xff\xfe\x00\x08" + b"%06d" % i
        whole = contents[i % len(contents)]
        file.write_bytes(whole[:2] + comment + whole[2:])


def best(*runs: Callable[[], None]) -> list[float]:
    """Seconds of the fastest of some rounds for each; the runs take turns."""
    times = [[] for _ in runs]
    for _ in range(ROUNDS):
        for run, taken in zip(runs, times, strict=True):
            start = time.perf_counter()
            run()
            taken.append(time.perf_counter() - start)
    return list(map(min, times))


def compare(root: Path, n: int) -> Images:
    """Print the first table."""
    folder = photographs(root, n)
    domain = image_folder(root)["photos"]
    same = v2.Compose([v2.Resize(SIDE, InterpolationMode.BICUBIC), v2.CenterCrop(SIDE), v2.PILToTensor()])
    loader = DataLoader(ImageFolder(str(folder), same), BATCH, shuffle=True, num_workers=WORKERS)

    def theirs() -> None:
        for _ in loader:
            pass

    def build() -> None:
        shutil.rmtree(cache_home(), ignore_errors=True)
        load_images(domain, SIDE)

    slow, built = best(theirs, build)
    images = load_images(domain, SIDE)[1]
    orders = torch.arange(n), torch.randperm(n, generator=torch.Generator().manual_seed(0))

    def read(order: torch.Tensor) -> None:
        for index in order.split(BATCH):
            images[index]

    in_turn, at_random = best(*(lambda order=order: read(order) for order in orders))
    print(f"{n} photographs, {SIDE} px; DataLoader with {WORKERS} workers: {n / slow:.0f} images/s\n")
    print("| | images/s | to the DataLoader's |\n| --- | ---: | ---: |")
    for name, seconds in (
        ("building the cache", built),
        ("reading batches from it in order", in_turn),
        ("reading batches from it shuffled", at_random),
    ):
        print(f"| {name} | {n / seconds:.0f} | {slow / seconds:.2f} |", flush=True)
    pools(domain.paths)
    return images


def one(path: Path) -> int:
    """An image decoded and resized, as the cache does it."""
    return len(resized(decode(path), Resize(SIDE)))


def pools(paths: tuple[Path, ...]) -> None:
    """Print how decoding scales with threads and processes."""

    def threads(number: int) -> None:
        with ThreadPoolExecutor(number) as pool:
            list(pool.map(one, paths))

    with ProcessPoolExecutor(WORKERS) as processes:
        list(processes.map(one, paths[:WORKERS]))  # they start before they are timed
        numbers = (1, 2, 4, 8)
        runs = [lambda n=n: threads(n) for n in numbers]
        *threaded, forked = best(*runs, lambda: list(processes.map(one, paths, chunksize=8)))
    print("\n| decoding in | images/s | to one thread's |\n| --- | ---: | ---: |")
    names = [f"{n} threads" if n > 1 else "1 thread" for n in numbers]
    for name, seconds in zip([*names, f"{WORKERS} processes"], [*threaded, forked], strict=True):
        print(f"| {name} | {len(paths) / seconds:.0f} | {threaded[0] / seconds:.2f} |", flush=True)


def step(images: Images) -> None:
    """Print how much of a training step of ViT-B/16 is computing, and how long reading a batch takes."""
    tower, batch = random_clip("ViT-B-16").tower, 8

    def compute(pixels: torch.Tensor) -> None:
        tower(pixels).square().mean().backward()
        tower.zero_grad()

    index = torch.randperm(len(images), generator=torch.Generator().manual_seed(1))[:batch]
    pixels = images[index].float() / 255
    reading = min(best(lambda: images[index].float() / 255)[0] for _ in range(10))
    (computing,) = best(lambda: compute(pixels))
    share = computing / (computing + reading)
    print(
        f"\nA step of ViT-B/16 at {SIDE} px with {batch} images: {100 * share:.1f} % is computing; ", end=""
    )
    print(f"reading takes {1e6 * reading / batch:.0f} µs an image", flush=True)


def peak_memory() -> int:
    """Of this process until now, in MB."""
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) // 1024


def standin(images: torch.Tensor) -> torch.Tensor:
    """Unit rows by a fixed random projection of the image at 16 px."""
    small = torch.nn.functional.avg_pool2d(images, SMALL // 16).flatten(1) - 0.5
    weights = torch.randn(small.shape[1], DIM, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.normalize(small @ weights, dim=1)


def stage(name: str, root: Path) -> tuple[float, int]:
    """One stage in this process; its seconds and peak memory."""
    start = time.perf_counter()
    if name in ("decode", "start", "embed", "embed, stand-in"):
        domain, images = load_images(image_folder(root)["small"], SMALL)
    if name.startswith("embed"):
        encode = standin if "stand-in" in name else load_backbone().encode_image
        vectors = embed_all(encode, images)
        Embeddings("small", vectors, domain.labels, domain.class_names, domain.paths).save(root / "vectors")
    if name == "search":
        gallery = Embeddings.load(root / "vectors")
        rank(gallery.subset(range(0, len(gallery), max(1, len(gallery) // QUERIES))), gallery, 15)
    return time.perf_counter() - start, peak_memory()


def apart(name: str, root: Path) -> tuple[float, int]:
    """``stage`` in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.decode", "--stage", name, str(root)]
    project = Path(__file__).parents[1]
    told = subprocess.run(command, capture_output=True, text=True, check=True, cwd=project).stdout
    seconds, peak = told.split()[-2:]
    return float(seconds), int(peak)


def growth(root: Path, n: int, quick: bool) -> None:
    """Print the rows of one tree."""
    small_images(root, n)
    embed = "embed, stand-in" if n > 10_000 else "embed"
    for name in ("imports alone", "decode", "start", embed, "search"):
        seconds, peak = (stage if quick else apart)(name, root)
        if name != "imports alone" or n <= 1000:
            print(f"| {n:,} | {name} | {seconds:.1f} | {peak} |", flush=True)


def main(largest: int = 10_000, quick: bool = False) -> None:
    """Print the tables.

    Args:
        largest: Images of the largest tree: 1000, 10000 or 100000.
        quick: Few photographs and one small tree, to see that it runs.
    """
    place = tempfile.TemporaryDirectory()
    with place as folder, patch.dict(os.environ, {"TPSNET_CACHE": f"{folder}/cache"}):
        images = compare(Path(folder) / "photographs", 16 if quick else 320)
        if not quick:
            step(images)
        print("\n| images | stage | s | peak memory, MB |\n| ---: | --- | ---: | ---: |")
        for n in (200,) if quick else (1000, 10_000, 100_000):
            if n <= largest:
                growth(Path(folder) / f"{n}", n, quick)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--stage"]:
        torch.set_num_threads(os.cpu_count())
        print(*stage(sys.argv[2], Path(sys.argv[3])))
    else:
        tyro.cli(main)
