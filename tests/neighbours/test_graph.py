"""The graph and its diffusion against dense matrices, by hand, and where images are few, alike or new."""

import math

import pytest
import torch
import torch.nn.functional as F

from tpsnet.errors import InputError
from tpsnet.neighbours import neighbour_graph


def dense_graph(both, k, power):
    """A, W and S entry by entry, on lists and matrices of the whole."""
    z, first = torch.cat(both), len(both[0])
    n = len(z)
    a = torch.zeros(n, n, dtype=torch.float64)
    for i in range(n):
        for domain in (range(first), range(first, n)):
            others = sorted((j for j in domain if j != i), key=lambda j: -float(z[i] @ z[j]))
            for j in others[:k]:
                a[i, j] = max(0.0, float(z[i] @ z[j])) ** power
    w = (a + a.T) / 2
    degrees = w.sum(dim=1)
    return w / (degrees[:, None] * degrees[None]).sqrt().clamp_min(1e-12), degrees


@pytest.mark.parametrize(("k", "power"), [(1, 3.0), (3, 1.0), (5, 3.0), (50, 2.0)])
def test_the_graph_and_its_diffusion_are_the_dense_ones(unit, k, power):
    both = [unit(30, 6), unit(20, 6)]
    z = torch.cat(both)
    graph = neighbour_graph(both, k, power)
    s, degrees = dense_graph(both, k, power)
    torch.testing.assert_close(graph.step(torch.eye(50, dtype=torch.float64)), s, atol=1e-7, rtol=0)
    torch.testing.assert_close(graph.degrees, degrees, atol=1e-7, rtol=1e-6)
    y = z
    for _ in range(7):
        y = 0.8 * s @ y + 0.2 * z
    torch.testing.assert_close(graph.spread(z, 0.8, 7), y, atol=1e-6, rtol=0)


def test_a_graph_by_hand(circle):
    """Two images of one domain, 60° apart, and one of the other between them: all cosines are known."""
    both = [circle(0, 60), circle(30)]
    graph = neighbour_graph(both, neighbours=1, power=2.0)
    # Across, cos² 30° = 3/4: both choose the third, which chooses the first of two equal ones alone.
    w01, w02, w12 = 1 / 4, 3 / 4, 3 / 8
    d0, d1, d2 = w01 + w02, w01 + w12, w02 + w12
    expected = torch.tensor(
        [
            [0, w01 / math.sqrt(d0 * d1), w02 / math.sqrt(d0 * d2)],
            [w01 / math.sqrt(d0 * d1), 0, w12 / math.sqrt(d1 * d2)],
            [w02 / math.sqrt(d0 * d2), w12 / math.sqrt(d1 * d2), 0],
        ],
        dtype=torch.float64,
    )
    torch.testing.assert_close(graph.step(torch.eye(3, dtype=torch.float64)), expected, atol=1e-6, rtol=0)


def test_the_order_of_the_images_does_not_matter(unit, rng):
    both = [unit(40, 8).float(), unit(30, 8).float()]
    orders = [torch.randperm(len(z), generator=rng) for z in both]
    plain = neighbour_graph(both, 5, 3.0).spread(torch.cat(both), 0.9, 20).split([40, 30])
    shuffled = [z[order] for z, order in zip(both, orders, strict=True)]
    other = neighbour_graph(shuffled, 5, 3.0).spread(torch.cat(shuffled), 0.9, 20).split([40, 30])
    for ours, theirs, order in zip(plain, other, orders, strict=True):
        torch.testing.assert_close(ours[order], theirs, atol=1e-6, rtol=0)


def test_images_that_nothing_is_like_keep_their_direction(circle):
    both = [circle(0), circle(180)]
    y = neighbour_graph(both, 5, 3.0).spread(torch.cat(both), 0.9, 20)
    torch.testing.assert_close(F.normalize(y, dim=1), torch.cat(both))


def test_copies_are_tied_to_one_another_and_never_to_themselves(circle):
    copies = circle(*[10.0] * 12)
    graph = neighbour_graph([copies, circle(80)], neighbours=3, power=3.0)
    s = graph.step(torch.eye(13, dtype=torch.float64))
    assert s.diagonal().abs().max() == 0
    assert (s[:12, :12].count_nonzero(dim=1) >= 3).all()


def test_either_engine_makes_the_same_graph(unit):
    pytest.importorskip("faiss")
    both = [unit(70, 8).float(), unit(50, 8).float()]
    ours, theirs = (neighbour_graph(both, 5, 3.0, engine) for engine in ("torch", "faiss"))
    assert ours.columns.equal(theirs.columns) and ours.weights.equal(theirs.weights)


def test_a_new_image_holds_what_a_known_one_in_its_place_does(unit):
    """Attached, an image is where the whole diffusion would put it, but for its say in its neighbours."""
    both = [unit(60, 6), unit(60, 6)]
    z = torch.cat(both)
    graph = neighbour_graph(both, 5, 3.0)
    y = graph.spread(z, 0.9, 60)
    rest = [both[0][1:], both[1]]
    known = neighbour_graph(rest, 5, 3.0)
    found = known.attach(z[:1], torch.cat(rest), known.spread(torch.cat(rest), 0.9, 60), 0.9)
    assert float(F.cosine_similarity(found, y[:1])) > 0.97
    assert float(F.cosine_similarity(found, z[:1])) < 0.97  # it has moved


def test_attached_by_hand(circle):
    """One neighbour in each domain: S from its degree and theirs, then one step."""
    both = [circle(0), circle(90)]
    graph = neighbour_graph(both, neighbours=1, power=1.0)  # at a right angle: no ties, degrees of zero
    assert graph.degrees.tolist() == [0, 0]
    both = [circle(0), circle(60)]
    graph = neighbour_graph(both, neighbours=1, power=1.0)  # tied by cos 60° from both sides
    y = graph.spread(torch.cat(both), 0.5, 1)
    found = graph.attach(circle(30), torch.cat(both), y, 0.5)
    half = math.sqrt(3) / 4  # cos 30° / 2
    scaled = half / math.sqrt(2 * half) / math.sqrt(0.5)
    torch.testing.assert_close(found, 0.5 * scaled * y.sum(dim=0)[None] + 0.5 * circle(30))


def test_bad_input_is_one_line(unit):
    both = [unit(4, 3), unit(4, 3)]
    with pytest.raises(InputError, match="graph of 0 neighbours; give at least 1"):
        neighbour_graph(both, 0, 3.0)
    both[1][2] = torch.nan
    with pytest.raises(InputError, match="NaN or infinity; look at the model"):
        neighbour_graph(both, 5, 3.0)


def test_one_image_a_domain_is_tied_to_the_other_alone(circle):
    graph = neighbour_graph([circle(0), circle(20)], neighbours=9, power=3.0)
    s = graph.step(torch.eye(2, dtype=torch.float64))
    torch.testing.assert_close(s, torch.tensor([[0.0, 1.0], [1.0, 0.0]], dtype=torch.float64))
