"""Embeddings on disk whose images are plain colours."""

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor

from tpsnet.types import Embeddings


def save_domain(
    path: Path,
    name: str,
    rows: Float[Tensor, "n dim"],
    labels: Int[Tensor, " n"],
    class_names: Sequence[str],
    stem: str = "{name}{i}",
) -> None:
    """Write a domain's embeddings, and beside the file an image of 40 px for each row."""
    paths = tuple(path.parent / f"{stem.format(name=name, i=i)}.webp" for i in range(len(rows)))
    for i, image in enumerate(paths):
        Image.new("RGB", (40, 40), (200 * i // len(rows), 100, 60 * len(name) % 256)).save(image)
    rows = torch.nn.functional.normalize(rows, dim=1)
    Embeddings(name, rows, labels, tuple(class_names), paths).save(path)
