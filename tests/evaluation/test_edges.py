"""Edge strengths by hand, and their correlation as NumPy computes it."""

import numpy as np
import pytest
import torch

from tpsnet.evaluation.edges import edge_correlation, edges


def test_edges_of_a_step_by_hand():
    step = torch.zeros(1, 3, 5, 6)
    step[..., 3:] = 1.0  # Sobel: 4 on both sides of the step
    assert edges(step)[0, 2].tolist() == pytest.approx([0, 0, 4, 4, 0, 0])


def test_edge_correlation_is_pearson_s(rng):
    a, b = (torch.rand(4, 3, 12, 12, generator=rng) for _ in range(2))
    slow = [
        np.corrcoef(edges(x[None]).numpy().ravel(), edges(y[None]).numpy().ravel())[0, 1]
        for x, y in zip(a, b, strict=True)
    ]
    assert edge_correlation(a, b).tolist() == pytest.approx(slow, abs=1e-5)
    negative = edge_correlation(a, 1 - a)
    assert negative.tolist() == pytest.approx([1] * 4, abs=1e-5)  # it has the same edges
    assert edge_correlation(a, torch.full((4, 3, 12, 12), 0.5)).tolist() == [0] * 4  # no edge at all
