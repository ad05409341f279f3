"""Distances and matches against loops and by hand; the memory's step."""

import math

import torch
import torch.nn.functional as F

from tpsnet.targets import discrepancy, nearest_across, update_memory_bank


def slow_discrepancy(u, v) -> float:
    dot = sum(a * b for a, b in zip(u, v, strict=True))
    cosine = dot / math.hypot(*u) / math.hypot(*v)
    return (1 - cosine) * math.dist(u, v)


def test_discrepancy_is_the_slow_one(rng):
    u, v = (torch.randn(n, 3, generator=rng, dtype=torch.float64) for n in (4, 6))
    expected = [[slow_discrepancy(a, b) for b in v.tolist()] for a in u.tolist()]
    torch.testing.assert_close(discrepancy(u, v), torch.tensor(expected, dtype=torch.float64))


def test_discrepancy_by_hand():
    """(1, 0) and (0, 2): cosine 0, distance √5. Itself: zero. The zero row: its distance."""
    found = discrepancy(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0], [1.0, 0.0], [0.0, 0.0]]))
    torch.testing.assert_close(found, torch.tensor([[math.sqrt(5), 0.0, 1.0]]))


def test_a_match_by_hand():
    """Two clusters on the axes; the second became row 2 over there, whose memory holds one of each."""
    z = F.normalize(torch.tensor([[1.0, 0.1], [0.1, 1.0], [0.6, 0.8]]), dim=1)
    memory = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    prototypes = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]])
    found = nearest_across(z, torch.eye(2), torch.tensor([1, 2]), prototypes, memory)
    assert found.row.tolist() == [1, 2, 2]
    assert found.neighbour.tolist() == [1, 0, 0]
    assert found.agree.tolist() == [False, True, True]  # row 1 is not where the first one's neighbour lives


def test_a_picture_that_comes_twice_counts_by_its_last_row():
    memory, z = torch.eye(3), F.normalize(torch.randn(5, 3), dim=1)
    update_memory_bank(memory, torch.tensor([1, 0, 1, 1, 0]), z, 0.5)
    expected = F.normalize(0.5 * torch.eye(3)[:2] + 0.5 * z[[4, 3]], dim=1)
    torch.testing.assert_close(memory, torch.cat([expected, torch.eye(3)[2:]]))


def test_memory_moves_by_its_share_and_nowhere_else():
    memory = torch.eye(3)
    update_memory_bank(memory, torch.tensor([1]), torch.tensor([[1.0, 0.0, 0.0]]), 0.25)
    torch.testing.assert_close(memory[1], F.normalize(torch.tensor([0.75, 0.25, 0.0]), dim=0))
    assert torch.equal(memory[[0, 2]], torch.eye(3)[[0, 2]])
    update_memory_bank(memory, torch.tensor([0, 2]), torch.randn(2, 3), 1.0)
    assert torch.equal(memory[[0, 2]], torch.eye(3)[[0, 2]])


def test_memory_takes_no_gradient():
    memory, z = torch.eye(2), torch.ones(1, 2, requires_grad=True)
    update_memory_bank(memory, torch.tensor([0]), z, 0.5)
    assert not memory.requires_grad
