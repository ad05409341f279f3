"""The losses of UEM: slow loops, values by hand, special cases, gradients."""

import math

import pytest
import torch
from torch.autograd import gradcheck

from tpsnet.losses import (
    domain_adversary,
    instance_contrast,
    prototype_contrast,
    reverse_gradient,
    semantic_enhancement,
    structure_preservation,
    switchable_matching,
)


def dot(a, b) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


class TestInstanceContrast:
    def slow(self, z, m, own, tau) -> float:
        cost = 0.0
        for row, mine in zip(z, own, strict=True):
            e = [math.exp(dot(row, other) / tau) for other in m]
            cost -= math.log(e[mine] / sum(e)) / len(z)
        return cost

    @pytest.mark.parametrize("tau", [0.07, 0.5, 2.0])
    def test_same_as_the_slow_reference(self, unit, tau):
        z, m, own = unit(6, 4), unit(4, 4), torch.tensor([2, 0, 3, 3, 1, 2])
        assert instance_contrast(z, m, own, temperature=tau).item() == pytest.approx(
            self.slow(z.tolist(), m.tolist(), own.tolist(), tau)
        )

    def test_value_by_hand(self):
        """Own cosine 1, the other's 0, temperature 0.5: log(1 + e^-2)."""
        eye = torch.eye(2, dtype=torch.float64)
        assert instance_contrast(eye, eye, torch.arange(2), temperature=0.5).item() == pytest.approx(
            math.log(1 + math.exp(-2))
        )

    def test_alone_there_is_no_competitor(self, unit):
        alone = instance_contrast(unit(2, 3), unit(1, 3), torch.tensor([0, 0]), temperature=0.07)
        assert alone.item() == 0

    def test_it_is_prototype_contrast_with_one_prototype_a_row(self, unit):
        z, m = unit(5, 3), unit(5, 3)
        other = prototype_contrast(z, m, torch.eye(5, dtype=torch.float64), temperature=0.1)
        torch.testing.assert_close(instance_contrast(z, m, torch.arange(5), temperature=0.1), other)

    def test_gradient(self, unit):
        m, own = unit(4, 3), torch.tensor([3, 0, 0, 1])
        assert gradcheck(lambda z: instance_contrast(z, m, own, temperature=0.5), unit(4, 3).requires_grad_())


class TestSemanticEnhancement:
    def slow(self, z, p, tau) -> float:
        cost = 0.0
        for row in z:
            e = [math.exp(dot(row, c) / tau) for c in p]
            cost += sum(w / sum(e) * math.dist(row, c) for w, c in zip(e, p, strict=True)) / len(z)
        return cost

    @pytest.mark.parametrize("tau", [0.07, 1.0])
    def test_same_as_the_slow_reference(self, unit, tau):
        z, p = unit(5, 4), unit(3, 4)
        ours = semantic_enhancement(z, p, temperature=tau).item()
        assert ours == pytest.approx(self.slow(z.tolist(), p.tolist(), tau))

    def test_value_by_hand(self):
        """On the first of two orthogonal prototypes at temperature 1: (1·√2) / (e + 1)."""
        eye = torch.eye(2, dtype=torch.float64)
        ours = semantic_enhancement(eye[:1], eye, temperature=1.0).item()
        assert ours == pytest.approx(math.sqrt(2) / (math.e + 1))

    def test_one_prototype_is_the_mean_distance(self, unit):
        z, p = unit(5, 3), unit(1, 3)
        torch.testing.assert_close(semantic_enhancement(z, p, temperature=0.07), (z - p).norm(dim=1).mean())

    def test_on_a_prototype_the_gradient_is_finite(self, unit):
        p = unit(3, 4)
        z = p[:2].clone().requires_grad_()
        semantic_enhancement(z, p, temperature=0.07).backward()
        assert z.grad.isfinite().all()

    def test_gradient_flows_through_weights_and_distances(self, unit):
        assert gradcheck(
            lambda z, p: semantic_enhancement(z, p, temperature=0.5),
            (unit(3, 4).requires_grad_(), unit(5, 4).requires_grad_()),
        )


class TestDomainAdversary:
    def test_value_by_hand(self):
        """Logits 0 say one half: log 2 each. Logit ln 3 says 3/4: right in the first, wrong in the second."""
        zero, sure = torch.zeros(3), torch.full((1,), math.log(3))
        assert domain_adversary(zero, zero).item() == pytest.approx(math.log(2))
        assert domain_adversary(sure, sure).item() == pytest.approx(-(math.log(3 / 4) + math.log(1 / 4)) / 2)

    def test_every_picture_weighs_the_same(self):
        ours = domain_adversary(torch.zeros(1), torch.tensor([-50.0, -50.0, -50.0]))
        assert ours.item() == pytest.approx(math.log(2) / 4)

    def test_reversal_turns_the_gradient_and_nothing_else(self, unit):
        z, w = unit(4, 3).requires_grad_(), unit(3, 1).requires_grad_()
        domain_adversary((z @ w)[:2, 0], (z @ w)[2:, 0]).backward()
        straight, weights = z.grad.clone(), w.grad.clone()
        z.grad = w.grad = None
        turned = reverse_gradient(z)
        assert torch.equal(turned, z)
        domain_adversary((turned @ w)[:2, 0], (turned @ w)[2:, 0]).backward()
        assert torch.equal(z.grad, -straight) and torch.equal(w.grad, weights) and straight.abs().sum() > 0

    def test_gradient(self):
        logits = [torch.randn(n, dtype=torch.float64, requires_grad=True) for n in (3, 5)]
        assert gradcheck(domain_adversary, logits)


class TestStructurePreservation:
    def slow(self, z, f) -> float:
        cost = 0.0
        for i in range(len(z)):
            for j in range(len(z)):
                cost += (dot(z[i], z[j]) - dot(f[i], f[j])) ** 2
                cost += (math.dist(z[i], z[j]) - math.dist(f[i], f[j])) ** 2
        return cost / len(z) ** 2

    def test_same_as_the_slow_reference(self, unit):
        z, f = unit(6, 4), unit(6, 4)
        assert structure_preservation(z, f).item() == pytest.approx(self.slow(z.tolist(), f.tolist()))

    def test_value_by_hand(self):
        """From orthogonal to equal: cosine 0 → 1, distance √2 → 0, for two of four pairs: (1 + 2) / 2."""
        eye = torch.eye(2, dtype=torch.float64)
        assert structure_preservation(eye[[0, 0]], eye).item() == pytest.approx(1.5)

    def test_a_rotation_costs_nothing(self, unit):
        z = unit(7, 3)
        rotation, _ = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))
        assert structure_preservation(z @ rotation, z).item() == pytest.approx(0, abs=1e-12)

    def test_unmoved_its_gradient_is_zero_and_finite(self, unit):
        z = unit(5, 3).requires_grad_()
        structure_preservation(z, z.detach().clone()).backward()
        assert z.grad.isfinite().all() and z.grad.abs().max() < 1e-10

    def test_gradient(self, unit):
        f = unit(4, 3)
        assert gradcheck(lambda z: structure_preservation(z, f), unit(4, 3).requires_grad_())


class TestSwitchableMatching:
    def slow(self, z, p, m, row, neighbour, agree, tau) -> float:
        cost = 0.0
        for i, x in enumerate(z):
            wanted = math.exp(dot(x, p[row[i]]) / tau)
            if agree[i]:
                wanted += math.exp(dot(x, m[neighbour[i]]) / tau)
            everything = sum(math.exp(dot(x, y) / tau) for y in [*p, *m])
            cost -= math.log(wanted / everything) / len(z)
        return cost

    @pytest.mark.parametrize("tau", [0.07, 1.0])
    def test_same_as_the_slow_reference(self, unit, rng, tau):
        z, p, m = unit(5, 4), unit(3, 4), unit(7, 4)
        row, neighbour = torch.randint(3, (5,), generator=rng), torch.randint(7, (5,), generator=rng)
        agree = torch.tensor([True, False, True, False, False])
        ours = switchable_matching(z, p, m, row, neighbour, agree, temperature=tau).item()
        lists = [x.tolist() for x in (z, p, m, row, neighbour, agree)]
        assert ours == pytest.approx(self.slow(*lists, tau))

    def test_value_by_hand(self):
        """One prototype and one neighbour, both on the picture: certain where they agree, else log 2."""
        one, zero = torch.eye(2)[:1], torch.zeros(1, dtype=torch.long)
        for agree, cost in ((True, 0.0), (False, math.log(2))):
            ours = switchable_matching(one, one, one, zero, zero, torch.tensor([agree]), temperature=0.5)
            assert ours.item() == pytest.approx(cost, abs=1e-6)

    def test_without_agreement_it_is_prototype_contrast_among_more(self, unit):
        z, p, m = unit(4, 3), unit(3, 3), unit(5, 3)
        row = torch.tensor([2, 0, 1, 1])
        never = torch.zeros(4, dtype=torch.bool)
        ours = switchable_matching(z, p, m, row, row, never, temperature=0.1)
        votes = torch.nn.functional.one_hot(row, 8).double()
        torch.testing.assert_close(ours, prototype_contrast(z, torch.cat([p, m]), votes, temperature=0.1))

    def test_gradient(self, unit):
        p, m, row = unit(3, 3), unit(5, 3), torch.tensor([2, 0])
        agree = torch.tensor([True, False])
        assert gradcheck(
            lambda z: switchable_matching(z, p, m, row, row, agree, temperature=0.5),
            unit(2, 3).requires_grad_(),
        )
