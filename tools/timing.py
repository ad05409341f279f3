"""What benchmarks share: ways timed in turn, images and vectors to time them on, tables in Markdown."""

import itertools
import logging
import platform
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import open_clip
import torch
import torch.nn.functional as F
from torch import Tensor

from tpsnet.backbone import Backbone
from tpsnet.types import Embeddings, Images, Resize


def fastest(ways: Mapping[str, Callable[[], object]], rounds: int = 3) -> dict[str, float]:
    """Least seconds of each way; they take turns, so that a busy machine slows all of them.

    Args:
        ways: What to time, by name.
        rounds: How often each has its turn.
    """
    found = dict.fromkeys(ways, float("inf"))
    for _ in range(rounds):
        for name, way in ways.items():
            wait()
            start = time.perf_counter()
            way()
            wait()
            found[name] = min(found[name], time.perf_counter() - start)
    return found


def wait() -> None:
    """Wait for what was sent to a GPU."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.synchronize()


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Print a Markdown table, row by row as they are made, and return its lines.

    Args:
        head: Names of the columns; the first holds text, the others numbers.
        rows: Their values.
    """
    lines = []
    for row in itertools.chain((head, ["---", *["---:"] * (len(head) - 1)]), rows):
        lines.append("| " + " | ".join(map(_shown, row)) + " |")
        print(lines[-1], flush=True)
    return lines


def _shown(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) and abs(value) < 1000 else f"{value}"


def machine(*packages: str) -> str:
    """The processor, the number of threads, and the versions of torch, NumPy and other packages."""
    names = ("torch", "numpy", *packages)
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    return f"{processor()}, {torch.get_num_threads()} threads, {versions}"


def processor() -> str:
    """The processor's name."""
    known = Path("/proc/cpuinfo")
    lines = known.read_text().splitlines() if known.is_file() else []
    return next((s.split(": ", 1)[1] for s in lines if s.startswith("model name")), platform.machine())


def clustered(domain: str, n: int, classes: int, dim: int, seed: int, spread: float = 4.0) -> Embeddings:
    """Unit rows scattered round their class's centre, the same centres for every domain."""
    centres = torch.randn(classes, dim, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(n) % classes
    rows = centres[labels] + spread * torch.randn(n, dim, generator=torch.Generator().manual_seed(seed))
    return Embeddings(
        domain, F.normalize(rows, dim=1), labels, tuple(map(str, range(classes))), (Path(),) * n
    )


def pictures(domain: str, n: int, size: int, seed: int = 0) -> Images:
    """Random images that are smooth, so that no view of them is mere noise."""
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.randint(0, 256, (n, 3, 8, 8), dtype=torch.uint8, generator=rng)
    return Images(domain, torch.cat([_enlarged(part, size) for part in coarse.split(256)]))


def _enlarged(coarse: Tensor, size: int) -> Tensor:
    return F.interpolate(coarse.float(), size=(size, size), mode="bilinear").round().to(torch.uint8)


def random_clip(name: str = "ViT-B-16", device: torch.device | str = "cpu") -> Backbone:
    """A CLIP of open_clip with random weights: as quick as a trained one."""
    logging.disable(logging.WARNING)  # open_clip warns of weights that are random on purpose
    try:
        clip = open_clip.create_model(name)
    finally:
        logging.disable(logging.NOTSET)
    size = clip.visual.image_size
    size = size if isinstance(size, int) else size[0]
    mean, std = open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD
    return Backbone(clip, open_clip.get_tokenizer(name), Resize(size), mean, std).to(device)
