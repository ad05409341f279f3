"""Contrast by pseudo-labels against nested loops, by hand, its special cases and its gradient."""

import math

import pytest
import torch

from tpsnet.losses import inter_domain, inter_instance

LABELS = torch.tensor([2, 0, 1, 2, 0, 2, 3])  # class 3 has one row: an anchor without a positive


def slow(z, labels, confidence, others, other_labels, temperature, same_set):
    """The formula of the module's docstring on lists; ``same_set`` leaves each row out of its own sums."""
    total = weights = 0.0
    for i, (row, y, w) in enumerate(zip(z, labels, confidence, strict=True)):
        among = [a for a in range(len(others)) if not (same_set and a == i)]
        positives = [a for a in among if other_labels[a] == y]
        if not positives:
            continue
        e = {
            a: math.exp(sum(p * q for p, q in zip(row, others[a], strict=True)) / temperature) for a in among
        }
        log_p = [math.log(e[p] / sum(e.values())) for p in positives]
        total -= w * sum(log_p) / len(log_p)
        weights += w
    return total / weights


@pytest.fixture
def confidence(rng):
    return torch.rand(7, generator=rng, dtype=torch.float64)


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_same_as_the_slow_reference(unit, confidence, temperature):
    z, other, there = unit(7, 4), unit(5, 4), torch.tensor([0, 2, 2, 4, 0])
    within = inter_instance(z, LABELS, confidence, temperature=temperature)
    rows, y, w = z.tolist(), LABELS.tolist(), confidence.tolist()
    assert within.item() == pytest.approx(slow(rows, y, w, rows, y, temperature, True), rel=1e-9)
    across = inter_domain(z, LABELS, confidence, other, there, temperature=temperature)
    expected = slow(rows, y, w, other.tolist(), there.tolist(), temperature, False)
    assert across.item() == pytest.approx(expected, rel=1e-9)


def test_value_by_hand():
    """Rows at 0°, 0°, 90°; the first two are one class: logits 1 and 0 at τ = 1, so log(1 + 1/e)."""
    z = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    weights = torch.tensor([0.2, 0.9, 0.7], dtype=torch.float64)
    loss = inter_instance(z, torch.tensor([0, 0, 1]), weights, temperature=1.0)
    assert loss.item() == pytest.approx(math.log(1 + 1 / math.e))
    loss = inter_domain(z[:1], LABELS[:1], weights[:1], z[1:], torch.tensor([2, 0]), temperature=1.0)
    assert loss.item() == pytest.approx(math.log(1 + 1 / math.e))


def test_equal_confidence_is_plain_supervised_contrast(unit):
    """Khosla's loss as the mean over anchors with a positive, written with a softmax over the others."""
    z = unit(7, 4)
    found = [
        inter_instance(z, LABELS, torch.full((7,), c, dtype=torch.float64), temperature=0.1)
        for c in (0.3, 1.0)
    ]
    torch.testing.assert_close(found[0], found[1])
    cost = []
    for i in range(6):
        others = [a for a in range(7) if a != i]
        log_p = (z[others] @ z[i] / 0.1).log_softmax(0)
        cost.append(
            -log_p[LABELS[others] == LABELS[i]].mean() if (LABELS[others] == LABELS[i]).any() else None
        )
    torch.testing.assert_close(found[1], torch.stack([c for c in cost if c is not None]).mean())


def test_a_doubted_anchor_has_no_say(unit, confidence):
    z, weights = unit(7, 4), confidence.clone()
    weights[0] = 0
    with_it = inter_domain(z, LABELS, weights, z.flip(0), LABELS.flip(0), temperature=0.1)
    without = inter_domain(z[1:], LABELS[1:], weights[1:], z.flip(0), LABELS.flip(0), temperature=0.1)
    torch.testing.assert_close(with_it, without)


def test_nothing_to_pull_costs_nothing(unit):
    z = unit(3, 4).requires_grad_()
    ones = torch.ones(3, dtype=torch.float64)
    for loss in (
        inter_instance(z, torch.arange(3), ones, temperature=0.1),
        inter_instance(z[:1], LABELS[:1], ones[:1], temperature=0.1),
        inter_instance(z, LABELS[:3] * 0, 0 * ones, temperature=0.1),
        inter_domain(z, torch.arange(3), ones, z.detach(), torch.arange(3, 6), temperature=0.1),
    ):
        z.grad = None
        loss.backward()
        assert loss.item() == 0 and z.grad.abs().sum() == 0


def test_gradients(unit, confidence):
    z, other = unit(7, 3).requires_grad_(), unit(7, 3).requires_grad_()
    within = lambda z: inter_instance(z, LABELS, confidence, temperature=0.5)  # noqa: E731
    across = lambda z, o: inter_domain(z, LABELS, confidence, o, LABELS.flip(0), temperature=0.5)  # noqa: E731
    assert torch.autograd.gradcheck(within, (z,)) and torch.autograd.gradcheck(across, (z, other))


def test_extreme_logits_stay_finite():
    z = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]], requires_grad=True)
    loss = inter_instance(z, torch.tensor([0, 0, 1]), torch.ones(3), temperature=1e-4)
    loss.backward()
    assert loss.isfinite() and z.grad.isfinite().all()
