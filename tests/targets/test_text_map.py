"""The maps from texts: what they recover exactly, where they leave things alone, and what they refuse."""

import pytest
import torch
import torch.nn.functional as F

from tpsnet.errors import InputError
from tpsnet.targets import apply_map, procrustes_map, ridge_map

DIM = 6


@pytest.fixture
def rotation(rng):
    return torch.linalg.qr(torch.randn(DIM, DIM, dtype=torch.float64, generator=rng)).Q


@pytest.fixture
def texts(rng):
    return F.normalize(torch.randn(20, DIM, generator=rng), dim=1)


def assert_orthogonal(w):
    torch.testing.assert_close(w.T @ w, torch.eye(DIM, dtype=torch.float64))


def test_a_known_rotation_is_recovered(texts, rotation):
    goal = texts.double() @ rotation
    torch.testing.assert_close(procrustes_map(texts.double(), goal), rotation)
    torch.testing.assert_close(ridge_map(texts.double(), goal, 1e-9), rotation, atol=1e-7, rtol=0)
    # Transposed, the map would undo the rotation instead.
    mapped = apply_map(texts, procrustes_map(texts.double(), goal))
    torch.testing.assert_close(mapped, goal.float())


def test_equal_texts_give_the_identity(texts):
    identity = torch.eye(DIM, dtype=torch.float64)
    for few in (texts, texts[:2]):
        torch.testing.assert_close(ridge_map(few, few, 0.3), identity)
        torch.testing.assert_close(procrustes_map(few, few), identity)
        torch.testing.assert_close(procrustes_map(few, few, rank=1), identity)


def test_ridge_by_hand_and_against_a_solver_of_augmented_rows(texts, rng):
    start, goal = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    expected = torch.tensor([[0.25, 0.75], [0.0, 1.0]]).double()  # (1 0; 0 0) + λ, λ = 1/3
    torch.testing.assert_close(ridge_map(start, goal, 1 / 3), expected)
    goal = F.normalize(torch.randn(20, DIM, generator=rng), dim=1)
    extra = 0.7**0.5 * torch.eye(DIM)
    rows, wanted = torch.cat([texts, extra]).double(), torch.cat([goal, extra]).double()
    expected = torch.linalg.lstsq(rows, wanted).solution
    torch.testing.assert_close(ridge_map(texts, goal, 0.7), expected, atol=1e-6, rtol=0)


def test_what_the_vocabulary_does_not_span_stays(texts, rotation):
    few = texts[:2].double()
    goal = few @ rotation
    orthogonal = torch.linalg.svd(torch.cat([few, goal])).Vh[4:]  # to all four rows
    torch.testing.assert_close(orthogonal @ ridge_map(few, goal, 0.5), orthogonal)
    w = procrustes_map(few, goal)
    assert_orthogonal(w)
    torch.testing.assert_close(few @ w, goal)
    torch.testing.assert_close(orthogonal @ w, orthogonal)


@pytest.mark.parametrize("rank", [1, 3, None])
def test_procrustes_is_orthogonal_and_beats_other_rotations(texts, rotation, rng, rank):
    goal = F.normalize(texts.double() @ rotation + 0.1 * torch.randn(20, DIM, generator=rng), dim=1)
    w = procrustes_map(texts, goal.float(), rank)
    assert_orthogonal(w)
    if rank is None:
        best = (texts.double() @ w - goal).norm()
        for _ in range(20):
            near = torch.linalg.qr(w + 0.05 * torch.randn(DIM, DIM, generator=rng).double())
            other = near.Q * near.R.diagonal().sign()
            assert best < (texts.double() @ other - goal).norm()


def test_mapped_rows_are_unit_in_their_own_precision(texts, rotation):
    mapped = apply_map(texts, 3 * rotation)
    assert mapped.dtype == torch.float32
    torch.testing.assert_close(mapped, (texts.double() @ rotation).float())


def test_bad_vocabularies_are_one_line(texts):
    with pytest.raises(InputError, match=r"rank 5 from 2 words that span 2 directions"):
        procrustes_map(texts[:2], texts[:2], rank=5)
    with pytest.raises(InputError, match="rank 0"):
        procrustes_map(texts, texts, rank=0)
    for solve in (lambda a, b: ridge_map(a, b, 1.0), procrustes_map):
        with pytest.raises(InputError, match="empty vocabulary"):
            solve(texts[:0], texts[:0])
        with pytest.raises(InputError, match="NaN or infinity"):
            solve(texts, texts / 0)
    with pytest.raises(InputError, match="penalty is 0"):
        ridge_map(texts, texts, 0.0)
