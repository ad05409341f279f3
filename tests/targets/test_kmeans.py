import math

import pytest
import torch
from sklearn.cluster import KMeans as SklearnKMeans
from targets.reference_kmeans import nearest, slow_lloyd

from tpsnet.errors import InputError
from tpsnet.targets import kmeans


def blobs(rng, n=300, k=6, d=5, spread=0.3):
    centres = 2 * torch.randn(k, d, generator=rng)
    labels = torch.randint(k, (n,), generator=rng)
    return centres[labels] + spread * torch.randn(n, d, generator=rng), labels


def same_clusters(a, b):
    """Whether two assignments are equal up to the clusters' names."""
    pairs = set(zip(a.tolist(), b.tolist(), strict=True))
    return len(pairs) == len(set(a.tolist())) == len(set(b.tolist()))


def test_by_hand():
    """0, 1 and 10, 12 on a line: centres ½ and 11, inertia ½ + 2."""
    x = torch.tensor([[0.0], [1], [10], [12]])
    result = kmeans(x, 2, seed=0)
    torch.testing.assert_close(result.centres[:, 0].sort().values, torch.tensor([0.5, 11]))
    assert result.inertia == pytest.approx(2.5)
    assert same_clusters(result.assignment, torch.tensor([0, 0, 1, 1]))


@pytest.mark.parametrize("iterations", [1, 2, 50])
@pytest.mark.parametrize("spread", [0.5, 1.5])
def test_same_as_the_slow_reference(rng, iterations, spread):
    x, _ = blobs(rng, n=80, k=4, spread=spread)
    init = x[:4].clone()
    fast = kmeans(x, 4, seed=0, init=init, iterations=iterations)
    centres, assignment, inertia = slow_lloyd(x.tolist(), init.tolist(), iterations)
    assert fast.assignment.tolist() == assignment
    torch.testing.assert_close(fast.centres, torch.tensor(centres), atol=1e-4, rtol=0)
    assert fast.inertia == pytest.approx(inertia, rel=1e-4)


@pytest.mark.parametrize("spread", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_worse_than_sklearn(rng, spread, seed):
    x, _ = blobs(rng, n=600, k=12, d=16, spread=spread)
    theirs = SklearnKMeans(12, n_init=5, max_iter=100, random_state=seed).fit(x.numpy()).inertia_
    assert kmeans(x, 12, seed=seed).inertia <= 1.02 * theirs


def test_one_restart_finds_clear_clusters(rng):
    """Seeds drawn without regard to distance would miss some of 20 clusters nearly always."""
    x, labels = blobs(rng, n=400, k=20, d=16, spread=0.05)
    found = [kmeans(x, 20, seed=seed, restarts=1, iterations=1) for seed in range(10)]
    assert all(same_clusters(result.assignment, labels) for result in found)


def test_the_best_of_the_restarts_is_kept(rng):
    x, _ = blobs(rng, n=200, k=15, d=3, spread=1.0)
    few, many = kmeans(x, 15, seed=0, restarts=1).inertia, kmeans(x, 15, seed=0, restarts=20).inertia
    mean = sum(kmeans(x, 15, seed=s, restarts=1).inertia for s in range(10)) / 10
    assert many <= few and many < 0.99 * mean


@pytest.mark.parametrize("iterations", [0, 1, 100])
def test_every_row_has_its_nearest_centre_and_the_inertia_is_theirs(rng, iterations):
    x, _ = blobs(rng, n=60)
    result = kmeans(x, 6, seed=0, iterations=iterations)
    assert result.assignment.tolist() == nearest(x.tolist(), result.centres.tolist())
    distances = torch.cdist(x.double(), result.centres.double()).square().min(dim=1).values
    assert result.inertia == pytest.approx(float(distances.sum()), rel=1e-4)


def test_the_centres_are_the_means_at_the_end(rng):
    x, _ = blobs(rng, spread=0.5)
    result = kmeans(x, 6, seed=0)
    for c in range(6):
        torch.testing.assert_close(
            result.centres[c], x[result.assignment == c].mean(dim=0), atol=1e-4, rtol=0
        )


def test_the_order_of_the_rows_is_no_matter(rng):
    x, _ = blobs(rng)
    shuffled, init = torch.randperm(len(x), generator=rng), x[:6].clone()
    one, other = kmeans(x, 6, seed=0, init=init), kmeans(x[shuffled], 6, seed=0, init=init)
    assert torch.equal(one.assignment[shuffled], other.assignment)
    torch.testing.assert_close(one.centres, other.centres)


def test_deterministic_from_the_seed(rng):
    x, _ = blobs(rng, spread=2.0)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    one = kmeans(x, 8, seed=3, restarts=2)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    again, other = kmeans(x, 8, seed=3, restarts=2), kmeans(x, 8, seed=4, restarts=2)
    assert torch.equal(one.centres, again.centres) and torch.equal(one.assignment, again.assignment)
    assert one.inertia == again.inertia and not torch.equal(one.assignment, other.assignment)


def test_a_warm_start_keeps_the_names_and_changes_nothing_at_its_optimum(rng):
    x, _ = blobs(rng)
    cold = kmeans(x, 6, seed=0, iterations=1000)
    warm = kmeans(x, 6, seed=9, init=cold.centres)
    assert torch.equal(warm.assignment, cold.assignment)
    torch.testing.assert_close(warm.centres, cold.centres, atol=1e-4, rtol=0)
    moved = kmeans(x + 0.01, 6, seed=9, init=cold.centres)
    assert torch.equal(moved.assignment, cold.assignment)


def test_an_empty_cluster_moves_to_the_farthest_row():
    """The third centre is nobody's. After one step it stands on the row farthest from its centre, 30."""
    x = torch.tensor([[0.0], [1], [10], [11], [30]])
    init = torch.tensor([[0.0], [12], [-1000]])
    one = kmeans(x, 3, seed=0, init=init, iterations=1)
    torch.testing.assert_close(one.centres[:, 0], torch.tensor([0.5, 17, 30]))
    end = kmeans(x, 3, seed=0, init=init)
    assert end.assignment.tolist() == [0, 0, 1, 1, 2]
    torch.testing.assert_close(end.centres[:, 0], torch.tensor([0.5, 10.5, 30]))


def test_several_empty_clusters(rng):
    x, _ = blobs(rng, spread=0.05)
    init = torch.full((6, 5), 1e3) + torch.arange(6.0)[:, None]
    result = kmeans(x, 6, seed=0, init=init)
    assert len(result.assignment.unique()) == 6
    assert result.inertia < float((x - x.mean(0)).square().sum())


@pytest.mark.parametrize("k", [3, 5, 12])
def test_duplicates(rng, k):
    """Twelve rows, three different: the clusters that no row needs stay empty on a row of the data."""
    different = torch.randn(3, 4, generator=rng)
    x = different.repeat(4, 1)
    result = kmeans(x, k, seed=0)
    assert result.inertia == pytest.approx(0, abs=1e-9)
    assert same_clusters(result.assignment, torch.arange(3).repeat(4))
    assert torch.cdist(result.centres, different).min(dim=1).values.max() < 1e-5


def test_one_cluster_and_one_row_each(rng):
    x, _ = blobs(rng, n=20)
    one = kmeans(x, 1, seed=0)
    torch.testing.assert_close(one.centres[0], x.mean(dim=0))
    each = kmeans(x, 20, seed=0)
    assert each.inertia == pytest.approx(0, abs=1e-8) and len(each.assignment.unique()) == 20


def test_far_from_the_origin(rng):
    """Squares of 1,000 leave float32 no digits for distances of 1 unless the mean is taken off first."""
    x, labels = blobs(rng, spread=0.02)
    assert same_clusters(kmeans(x + 3000, 6, seed=0, restarts=10).assignment, labels)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_centres_have_the_type_of_the_rows(rng, dtype):
    x, labels = blobs(rng, spread=0.05)
    result = kmeans(x.to(dtype).requires_grad_(), 6, seed=0, restarts=10)
    assert result.centres.dtype == dtype and not result.centres.requires_grad
    assert same_clusters(result.assignment, labels)


@pytest.mark.parametrize("k, words", [(0, "k is 0"), (-1, "k is -1"), (31, "30 rows")])
def test_k_outside_its_range(rng, k, words):
    with pytest.raises(InputError, match=words):
        kmeans(blobs(rng, n=30)[0], k, seed=0)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_numbers_that_are_none(rng, bad):
    x, _ = blobs(rng, n=30)
    init = x[:3].clone()
    x[7, 2] = bad
    with pytest.raises(InputError, match="rows contain NaN or infinity"):
        kmeans(x, 3, seed=0)
    with pytest.raises(InputError, match="init contain"):
        kmeans(x[:5], 3, seed=0, init=torch.full((3, 5), bad))
    with pytest.raises(InputError, match=r"\(2, 5\)"):
        kmeans(x[:5], 3, seed=0, init=init[:2])
    with pytest.raises(InputError, match="restarts"):
        kmeans(x[:5], 3, seed=0, restarts=0)
