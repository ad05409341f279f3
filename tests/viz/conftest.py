"""Small domains on disk: every image's colour says its class, every vector its class and noise."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from tpsnet.types import Embeddings

CLASSES = ("apple", "boat", "cat", "drum")


@pytest.fixture
def domain(tmp_path: Path, rng: torch.Generator) -> Callable[..., Embeddings]:
    """``domain(name, n, noise)``: n images of four classes, as files and as noisy unit rows."""

    def make(name: str, n: int = 20, noise: float = 0.8) -> Embeddings:
        labels = torch.arange(n) % len(CLASSES)
        vectors = torch.eye(8)[labels] + noise * torch.randn(n, 8, generator=rng)
        paths = []
        for i, label in enumerate(labels.tolist()):
            path = tmp_path / name / CLASSES[label] / f"{i}.webp"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (40, 30), (60 * label, 255 - 12 * i % 255, 128)).save(path)
            paths.append(path)
        return Embeddings(name, vectors / vectors.norm(dim=1, keepdim=True), labels, CLASSES, tuple(paths))

    return make


@pytest.fixture
def noisier(rng: torch.Generator) -> Callable[[Embeddings], Embeddings]:
    """The same images under a worse model."""

    def make(domain: Embeddings) -> Embeddings:
        vectors = domain.vectors + torch.randn(domain.vectors.shape, generator=rng)
        vectors = vectors / vectors.norm(dim=1, keepdim=True)
        return Embeddings(domain.domain, vectors, domain.labels, domain.class_names, domain.paths)

    return make
