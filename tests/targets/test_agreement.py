"""How far a view can be trusted: three measurements of one thing, a view of noise, fewer views."""

import pytest
import torch
import torch.nn.functional as F

from tpsnet.targets import view_reliabilities


def noisy(rows: torch.Tensor, size: float, seed: int) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return F.normalize(rows + size * torch.randn(rows.shape, generator=rng, dtype=rows.dtype), dim=1)


@pytest.fixture
def truth(rng) -> list[torch.Tensor]:
    """Two domains with 200 things each, alike one by one."""
    things = F.normalize(torch.randn(200, 16, generator=rng, dtype=torch.float64), dim=1)
    return [things, noisy(things, 0.1, 9)]


def views(truth, *sizes: float) -> list[list[torch.Tensor]]:
    return [[noisy(z, size, 10 * v + d) for d, z in enumerate(truth)] for v, size in enumerate(sizes)]


def test_it_solves_the_three_agreements(truth):
    """Each product of two reliabilities is the share of neighbours that two views have in common."""
    seen = views(truth, 0.1, 0.2, 0.3)
    r = view_reliabilities(seen, 2)
    for u, v in ((0, 1), (0, 2), (1, 2)):
        shared = []
        for d in range(2):
            tops = [(w[d] @ w[1 - d].T).topk(2, dim=1).indices.tolist() for w in (seen[u], seen[v])]
            shared += [len(set(a) & set(b)) / 2 for a, b in zip(*tops, strict=True)]
        assert float(r[u] * r[v]) == pytest.approx(sum(shared) / len(shared), abs=1e-6)


def test_the_noisier_a_view_the_less_it_is_trusted(truth):
    r = view_reliabilities(views(truth, 0.05, 0.2, 0.4), 2)
    assert r[0] > r[1] > 1.2 * r[2] > 0 and r.max() <= 1
    assert torch.equal(view_reliabilities(views(truth, 0.05, 0.2, 0.4)[::-1], 2), r.flip(0))


def test_less_than_three_views_cannot_be_told_apart(truth):
    seen = views(truth, 0.1, 3.0)
    assert view_reliabilities(seen, 2).tolist() == [1, 1] and view_reliabilities(seen[:1], 2).tolist() == [1]


def test_views_without_anything_in_common_still_get_a_number(rng):
    apart = [[F.normalize(torch.randn(40, 8, generator=rng), dim=1) for _ in range(2)] for _ in range(3)]
    r = view_reliabilities(apart, 1)
    assert bool(r.isfinite().all()) and float(r.min()) > 0
