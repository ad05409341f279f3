"""How far a view can be trusted: three measurements of one thing, a view of noise, fewer views."""

import pytest
import torch
import torch.nn.functional as F

from tpsnet.targets import diffused, side_by_side, view_reliabilities, view_weights


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


def test_weights_are_the_reliabilities_after_diffusion(unit):
    whole = unit(42, 6).float()
    seen = [F.normalize(whole + size * unit(42, 6).float(), dim=1) for size in (0.2, 0.5, 1.0)]
    domains = [[z[:24] for z in seen], [z[24:] for z in seen]]
    found = view_reliabilities([diffused(rows, 2, 0.8) for rows in zip(*domains, strict=True)], 2)
    assert found.unique().numel() > 1
    torch.testing.assert_close(view_weights(domains, 2, 0.8), found / found.sum())


def test_a_cosine_is_the_weighted_mean_of_those_of_the_views(unit):
    weights = torch.tensor([0.5, 0.3, 0.2])
    views = [[unit(n, 6).float() for _ in range(3)] for n in (24, 18)]
    a, b = (side_by_side(rows, weights) for rows in views)
    expected = sum(w * x @ y.T for w, x, y in zip(weights, *views, strict=True))
    torch.testing.assert_close(a @ b.T, expected)
    torch.testing.assert_close(a.norm(dim=1), torch.ones(24))
