"""Prototype contrast against nested loops, values by hand, special cases and its gradient."""

import math

import pytest
import torch
import torch.nn.functional as F

from tpsnet.losses import prototype_contrast


def slow(z, prototypes, targets, temperature):
    """The formula of the module's docstring, term by term, on lists."""
    cost = votes = 0.0
    for row, q in zip(z, targets, strict=True):
        logits = [sum(a * b for a, b in zip(row, mu, strict=True)) / temperature for mu in prototypes]
        partition = sum(math.exp(logit) for logit in logits)
        for weight, logit in zip(q, logits, strict=True):
            cost -= weight * math.log(math.exp(logit) / partition)
            votes += weight
    return cost / votes


def doubtful(n, c, rng):
    """Soft targets whose rows sum to different confidences in (0, 1)."""
    q = torch.rand(n, c, generator=rng, dtype=torch.float64).softmax(dim=1)
    return q * torch.rand(n, 1, generator=rng, dtype=torch.float64)


@pytest.mark.parametrize("temperature", [0.05, 0.5, 1.0, 3.0])
def test_same_as_the_slow_reference(unit, rng, temperature):
    z, mu, q = unit(7, 4), unit(3, 4), doubtful(7, 3, rng)
    ours = prototype_contrast(z, mu, q, temperature=temperature).item()
    assert ours == pytest.approx(slow(z.tolist(), mu.tolist(), q.tolist(), temperature), rel=1e-9)


def test_value_by_hand():
    """Cosines 0.6 and 0.8 at temperature 0.2 are logits 3 and 4; the vote is for the first: log(1 + e)."""
    z = torch.tensor([[0.6, 0.8]], dtype=torch.float64)
    eye = torch.eye(2, dtype=torch.float64)
    loss = prototype_contrast(z, eye, eye[:1], temperature=0.2)
    assert loss.item() == pytest.approx(math.log(1 + math.e))


def test_hard_targets_are_cross_entropy(unit):
    z, mu, y = unit(6, 4), unit(3, 4), torch.tensor([2, 0, 1, 1, 0, 2])
    ours = prototype_contrast(z, mu, F.one_hot(y, 3).double(), temperature=0.1)
    torch.testing.assert_close(ours, F.cross_entropy(z @ mu.T / 0.1, y))


def test_equal_prototypes_cost_log_c(unit, rng):
    mu = unit(1, 4).expand(5, 4)
    loss = prototype_contrast(unit(6, 4), mu, doubtful(6, 5, rng), temperature=0.05)
    assert loss.item() == pytest.approx(math.log(5))


def test_gradients_reach_embeddings_and_prototypes(unit, rng):
    z, mu, q = unit(4, 3).requires_grad_(), unit(3, 3).requires_grad_(), doubtful(4, 3, rng)
    assert torch.autograd.gradcheck(lambda z, mu: prototype_contrast(z, mu, q, temperature=0.5), (z, mu))


def test_abstaining_rows_cost_nothing(unit, rng):
    z, mu, q = unit(5, 3), unit(3, 3), doubtful(5, 3, rng)
    q[3:] = 0
    ours = prototype_contrast(z, mu, q, temperature=0.1)
    torch.testing.assert_close(ours, prototype_contrast(z[:3], mu, q[:3], temperature=0.1))


def test_nobody_votes(unit):
    z = unit(4, 3).requires_grad_()
    loss = prototype_contrast(z, unit(3, 3), torch.zeros(4, 3, dtype=torch.float64), temperature=0.1)
    loss.backward()
    assert loss.item() == 0
    assert z.grad.abs().sum() == 0


def test_order_of_classes_and_rows_is_free(unit, rng):
    z, mu, q = unit(6, 4), unit(5, 4), doubtful(6, 5, rng)
    rows, classes = torch.randperm(6, generator=rng), torch.randperm(5, generator=rng)
    shuffled = prototype_contrast(z[rows], mu[classes], q[rows][:, classes], temperature=0.1)
    torch.testing.assert_close(shuffled, prototype_contrast(z, mu, q, temperature=0.1))


def test_extreme_logits_stay_finite():
    """Opposite prototypes at temperature 1e-4: logits ±10⁴, far beyond what exp bears in float32."""
    z, mu = torch.tensor([[1.0, 0.0]], requires_grad=True), torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    right = prototype_contrast(z, mu, torch.tensor([[1.0, 0.0]]), temperature=1e-4)
    wrong = prototype_contrast(z, mu, torch.tensor([[0.0, 1.0]]), temperature=1e-4)
    (right + wrong).backward()
    assert right.item() == 0
    assert wrong.item() == pytest.approx(2e4)
    assert z.grad.isfinite().all()


def test_wrong_shapes_are_refused(unit):
    q = torch.eye(4, 3, dtype=torch.float64)
    with pytest.raises(Exception, match="prototypes"):
        prototype_contrast(unit(4, 3), unit(3, 2), q, temperature=0.1)
    with pytest.raises(Exception, match="targets"):
        prototype_contrast(unit(4, 3), unit(2, 3), q, temperature=0.1)
