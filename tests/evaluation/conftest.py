"""Embeddings made of plain tensors, for every test of this folder."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tpsnet.types import Embeddings


@pytest.fixture
def embeddings() -> Callable[..., Embeddings]:
    """``embeddings("a", vectors, labels)``: labels index the table of six classes by default."""

    def make(domain: str, vectors: Tensor, labels: list[int] | Tensor, n_classes: int = 6) -> Embeddings:
        names = tuple(f"class {c}" for c in range(n_classes))
        paths = tuple(Path(f"{domain}/{i}.png") for i in range(len(vectors)))
        return Embeddings(domain, vectors, torch.as_tensor(labels), names, paths)

    return make


@pytest.fixture
def lattice(rng: torch.Generator) -> Callable[[int], Tensor]:
    """``lattice(n)``: n rows of four halves, ±½: unit, every cosine exact, and full of ties."""

    def rows(n: int) -> Tensor:
        return torch.randint(0, 2, (n, 4), generator=rng).float() - 0.5

    return rows
