"""Metrics against loops over lists, rankings by hand, and what tells the two conventions of P@k apart."""

import weakref

import pytest
import torch
from evaluation.reference_metrics import slow_scores
from torch.utils._python_dispatch import TorchDispatchMode

from tpsnet.errors import InputError
from tpsnet.evaluation import average_precision, evaluate, evaluate_zero_shot

HALVES = {"q": slice(None, 30), "g": slice(30, None)}


@pytest.fixture
def by_hand(embeddings, circle):
    """Two queries with a match and one without.

    From 0° the gallery reads a b a a b c: for the first query, an a, right wrong right right wrong wrong.
    From 90° it reads c b a a b a: for the second, a b, wrong right wrong wrong right wrong.
    The third is a d: there is none.
    """
    a, b, c, d = range(4)
    return (
        embeddings("q", circle(0, 90, 0), [a, b, d]),
        embeddings("g", circle(10, 20, 30, 40, 50, 60), [a, b, a, a, b, c]),
    )


def test_field_precision_by_hand(by_hand):
    """Three a, two b: at k = 3 the first wants three and finds two, the second wants two and finds one."""
    assert evaluate(*by_hand, ks=(1, 3, 6)).precision == pytest.approx(
        {1: 100 * (1 + 0) / (1 + 1), 3: 100 * (2 + 1) / (3 + 2), 6: 100 * (2 + 1) / (3 + 2)}
    )


def test_plain_precision_by_hand(by_hand):
    assert evaluate(*by_hand, ks=(1, 3, 6)).plain_precision == pytest.approx(
        {1: 100 * (1 + 0) / 2, 3: 100 * (2 / 3 + 1 / 3) / 2, 6: 100 * (3 / 6 + 2 / 6) / 2}
    )


def test_mean_average_precision_by_hand(by_hand):
    first, second = (1 / 1 + 2 / 3 + 3 / 4) / 3, (1 / 2 + 2 / 5) / 2
    assert evaluate(*by_hand, ks=()).mean_ap == pytest.approx(100 * (first + second) / 2)


def test_average_precision_of_a_matrix_by_hand():
    relevant = torch.tensor([[1, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 1], [1, 1, 0, 0]], dtype=torch.bool)
    assert average_precision(relevant).tolist() == pytest.approx([(1 + 2 / 3) / 2, 0, 1 / 4, 1])


@pytest.mark.parametrize("seed", range(50))
def test_same_as_the_slow_reference(embeddings, unit, lattice, rng, seed):
    """Random sizes, classes and chunks, queries without a match; even seeds are full of ties."""
    rng.manual_seed(seed)
    n, m, chunk = (int(torch.randint(1, 40, (), generator=rng)) for _ in range(3))
    vectors = lattice if seed % 2 == 0 else lambda n: unit(n, 8)
    q = embeddings("q", vectors(n), torch.randint(0, 6, (n,), generator=rng))
    g = embeddings("g", vectors(m), torch.randint(0, 6, (m,), generator=rng).clamp_min(1))
    if not set(q.labels.tolist()) & set(g.labels.tolist()):
        with pytest.raises(InputError, match="no class in common"):
            evaluate(q, g, ks=())
        return
    ks = tuple(k for k in (1, 5, 15) if k <= m)
    ours, slow = evaluate(q, g, ks, chunk=chunk), slow_scores(q, g, ks)
    assert ours.precision == pytest.approx(slow["precision"], rel=1e-12)
    assert ours.plain_precision == pytest.approx(slow["plain"], rel=1e-12)
    assert ours.mean_ap == pytest.approx(slow["mean_ap"], rel=1e-12)
    assert ours.facts.n_unmatched == slow["unmatched"]


@pytest.mark.parametrize("chunk", [1, 7, 100])
def test_all_vectors_equal_leaves_the_gallery_s_order(embeddings, unit, chunk):
    """Everything ties, so each query of class 0 sees the gallery as it lies: right wrong right wrong."""
    one = unit(1, 512).float()
    q, g = embeddings("q", one.expand(9, 512), [0] * 9), embeddings("g", one.expand(4, 512), [0, 1, 0, 1])
    scores = evaluate(q, g, ks=(1, 2, 4), chunk=chunk)
    assert scores.precision == pytest.approx({1: 100, 2: 50, 4: 50})
    assert scores.plain_precision == pytest.approx({1: 100, 2: 50, 4: 50})
    assert scores.mean_ap == pytest.approx(100 * (1 + 2 / 3) / 2)


def test_the_conventions_part_where_a_class_is_smaller_than_k(embeddings):
    """A perfect ranking of classes of 1, 2 and 4: the field sees 100, the plain rule what it can reach."""
    eye = torch.eye(3)
    q, g = embeddings("q", eye, [0, 1, 2]), embeddings("g", eye[[0, 1, 1, 2, 2, 2, 2]], [0, 1, 1, 2, 2, 2, 2])
    scores = evaluate(q, g, ks=(1, 2, 4))
    assert scores.precision == {1: 100, 2: 100, 4: 100}
    assert scores.plain_precision == pytest.approx(
        {1: 100, 2: 100 * (1 / 2 + 1 + 1) / 3, 4: 100 * (1 / 4 + 2 / 4 + 1) / 3}
    )
    assert scores.mean_ap == 100
    assert scores.metrics() == {
        "mAP": 100,
        **{f"P@{k}": value for k, value in scores.precision.items()},
        **{f"plain P@{k}": value for k, value in scores.plain_precision.items()},
    }


def test_the_conventions_agree_where_no_class_is_smaller_than_k(embeddings, unit):
    """Class sizes 5, 6, 7: equal up to k = 5, and not beyond."""
    labels = torch.tensor([0] * 5 + [1] * 6 + [2] * 7)
    q, g = embeddings("q", unit(18, 8), labels), embeddings("g", unit(18, 8), labels)
    scores = evaluate(q, g, ks=(1, 2, 3, 4, 5, 6, 10))
    agree = [k for k, p in scores.precision.items() if p == pytest.approx(scores.plain_precision[k])]
    assert agree == [1, 2, 3, 4, 5]


def test_a_long_tail_parts_the_conventions(embeddings, unit):
    """Classes from 60 down to 2, noisy: P@1 is one number, P@30 is two, far apart."""
    sizes = torch.tensor([60, 30, 15, 8, 4, 2])
    labels = torch.arange(6).repeat_interleave(sizes)
    centres = unit(6, 16)

    def noisy():
        vectors = centres[labels] + 0.6 * unit(len(labels), 16)
        return vectors / vectors.norm(dim=1, keepdim=True)

    scores = evaluate(embeddings("q", noisy(), labels), embeddings("g", noisy(), labels), ks=(1, 30))
    assert scores.precision[1] == pytest.approx(scores.plain_precision[1])
    assert scores.precision[30] > scores.plain_precision[30] + 10


def test_queries_without_a_match_change_no_number(embeddings, unit):
    vectors, labels = unit(12, 8), [0, 1, 2] * 4
    g = embeddings("g", unit(20, 8), [0, 1, 2, 4] * 5)
    three = evaluate(embeddings("q", unit(15, 8), [0, 1, 2] * 4 + [3, 5, 3]), g)
    assert three.facts.n_unmatched == 3
    q = embeddings("q", vectors, labels)
    joined = embeddings("q", torch.cat([unit(2, 8), vectors]), [3, 5, *labels])
    alone, crowd = evaluate(q, g), evaluate(joined, g)
    assert (crowd.precision, crowd.plain_precision) == (alone.precision, alone.plain_precision)
    assert crowd.mean_ap == pytest.approx(alone.mean_ap, rel=1e-12)
    assert (alone.facts.n_unmatched, crowd.facts.n_unmatched) == (0, 2)


def test_the_order_of_queries_and_gallery_is_free(embeddings, unit, rng):
    labels, a, b = torch.arange(24) % 6, unit(24, 8), unit(24, 8)
    some, other = torch.randperm(24, generator=rng), torch.randperm(24, generator=rng)
    straight = evaluate(embeddings("q", a, labels), embeddings("g", b, labels))
    shuffled = evaluate(embeddings("q", a[some], labels[some]), embeddings("g", b[other], labels[other]))
    assert shuffled.precision == straight.precision
    assert shuffled.mean_ap == pytest.approx(straight.mean_ap, rel=1e-12)


def test_faiss_gives_the_same_numbers(embeddings, unit):
    pytest.importorskip("faiss")
    labels = torch.arange(60) % 6
    q, g = embeddings("q", unit(60, 32).float(), labels), embeddings("g", unit(60, 32).float(), labels)
    ours, theirs = evaluate(q, g), evaluate(q, g, engine="faiss")
    assert theirs.precision == ours.precision
    assert theirs.mean_ap == ours.mean_ap


DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.mark.parametrize("device", DEVICES)
def test_numbers_are_the_same_on_every_device(embeddings, unit, lattice, device):
    for vectors in (unit(60, 16).float(), lattice(60)):
        q, g = (embeddings(name, vectors[some], torch.arange(60)[some] % 5) for name, some in HALVES.items())
        here = evaluate(q, g)
        there = (embeddings(x.domain, x.vectors.to(device), x.labels.to(device)) for x in (q, g))
        for found in (evaluate(q, g, device=device), evaluate(*there)):
            assert found.precision == here.precision and found.facts == here.facts
            assert found.mean_ap == pytest.approx(here.mean_ap, rel=1e-12)
    assert evaluate_zero_shot(q, g, (5,), device=device).metrics() == pytest.approx(
        evaluate_zero_shot(q, g, (5,)).metrics(), rel=1e-12
    )


class Calls(TorchDispatchMode):
    """How many calls of tensors were made, and how often a number was brought to Python."""

    def __init__(self) -> None:
        super().__init__()
        self.all, self.numbers = 0, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.all += 1
        self.numbers += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("measure", [evaluate, evaluate_zero_shot])
def test_no_loop_walks_over_queries(embeddings, unit, measure):
    """Twelve times the queries in as many chunks make as many calls, and bring as many numbers to Python."""
    g, found = embeddings("g", unit(50, 8), torch.arange(50) % 6), []
    for n in (20, 240):
        q = embeddings("q", unit(n, 8), torch.arange(n) % 6)
        with Calls() as calls:
            measure(q, g, chunk=n // 2)
        found.append((calls.all, calls.numbers))
    assert found[0] == found[1]


class PeakElements(TorchDispatchMode):
    """The largest number of elements that were alive at once among the tensors made under it."""

    def __init__(self) -> None:
        super().__init__()
        self.alive, self.peak = {}, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, tuple | list) else [out]:
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                self.alive[storage._cdata] = (weakref.ref(tensor), storage.nbytes() // tensor.element_size())
        self.alive = {key: entry for key, entry in self.alive.items() if entry[0]() is not None}
        self.peak = max(self.peak, sum(size for _, size in self.alive.values()))
        return out


def test_memory_grows_with_the_chunk_not_with_the_queries(embeddings, unit):
    """1,000 queries by 100 items make 100,000 scores; ten queries at once make 1,000, held in a few forms."""
    labels = torch.arange(1000) % 6
    q, g = embeddings("q", unit(1000, 4), labels), embeddings("g", unit(100, 4), labels[:100])
    with PeakElements() as few:
        evaluate(q, g, chunk=10)
    with PeakElements() as all_at_once:
        evaluate(q, g, chunk=1000)
    assert few.peak < 20_000
    assert all_at_once.peak > 100_000


def test_a_depth_beyond_the_gallery_is_left_out_and_a_double_counts_once(embeddings, lattice):
    q, g = embeddings("q", lattice(4), [0, 0, 1, 1]), embeddings("g", lattice(3), [0, 1, 2])
    found, fitting = evaluate(q, g, ks=(5, 3, 1, 3, 10**6)), evaluate(q, g, ks=(3, 1))
    assert found.metrics() == fitting.metrics() and list(found.precision) == [3, 1]
    assert found.facts.left_out == (5, 10**6) and fitting.facts.left_out == ()
    assert evaluate(q, g, ks=(4,)).precision == {} and evaluate(q, g, ks=(4,)).mean_ap == found.mean_ap


def test_bad_input_is_refused(embeddings, lattice):
    q, g = embeddings("q", lattice(4), [0, 0, 1, 1]), embeddings("g", lattice(3), [0, 1, 2])
    with pytest.raises(InputError, match="ks = 0: give a whole number from 1"):
        evaluate(q, g, ks=(1, 0))
    with pytest.raises(InputError, match="'q' and gallery 'g' have no class in common"):
        evaluate(q, embeddings("g", lattice(3), [2, 3, 4]), ks=(1,))
    with pytest.raises(InputError, match=r"both 'q'.*two domains"):
        evaluate(q, q, ks=(1,))
