"""Fixtures shared by every room: seeded randomness and unit rows in float64."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor


@pytest.fixture
def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture
def unit(rng: torch.Generator) -> Callable[[int, int], Tensor]:
    """``unit(n, d)``: n random unit rows of d numbers, float64."""

    def rows(n: int, d: int) -> Tensor:
        x = torch.randn(n, d, generator=rng, dtype=torch.float64)
        return x / x.norm(dim=1, keepdim=True)

    return rows
