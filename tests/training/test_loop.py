"""The loop: stages and hooks in order, learning rates, seeds, and a loss that is no number."""

import itertools

import pytest
from training.smallest import Pull, PullConfig, small_backbone

from tpsnet.errors import InputError
from tpsnet.training import FitConfig, fit
from tpsnet.training.loop import rate


def made(seed: int = 0, **changes) -> Pull:
    return Pull(small_backbone(), PullConfig(**changes), seed)


def test_stages_epochs_and_hooks_in_order(pair):
    method = made()
    fit(method, pair)
    one = [call for e in range(3) for call in (f"one {e}", "step", "step")]
    two = [call for e in range(2) for call in (f"two {e}", "step", "step")]
    assert method.calls == ["prepare", *one, "one finished", *two, "two finished"]
    assert not method.training


def test_a_row_an_epoch_with_mean_losses_and_shares(pair):
    rows = fit(made(), pair)
    stages = [(r["stage"], r["epoch"]) for r in rows]
    assert stages == [("one", 0), ("one", 1), ("one", 2), ("two", 0), ("two", 1)]
    assert all(set(r) == {"stage", "epoch", "losses", "shares", "seconds"} for r in rows)
    assert [r["shares"] for r in rows[:3]] == [{"noted": 0.0}, {"noted": 0.25}, {"noted": 0.5}]
    assert all(r["losses"]["free"] == 7 for r in rows)  # the mean over the steps, not the sum
    for row in rows:  # the weighted sum: "free" has no weight
        assert row["losses"]["loss"] == pytest.approx(2 * row["losses"]["near"])


def test_a_prepared_method_is_not_prepared_again(pair):
    method = made()
    method.prepare(pair)
    fit(method, pair)
    assert method.calls.count("prepare") == 1


def test_rate_rises_then_falls_to_zero():
    factors = [rate(step, 20, 0.1) for step in range(20)]
    assert factors[:3] == [0.5, 1.0, 1.0]
    assert all(a > b for a, b in itertools.pairwise(factors[2:]))
    assert 0 < factors[-1] < 0.01 and rate(10, 20, 0.0) == pytest.approx(0.5, abs=0.05)


def test_rate_and_decay_reach_the_optimiser(pair):
    """Without a gradient, AdamW takes the share rate × decay off a weight, and nothing else."""
    method = made(weight=0.0, epochs=(5, 0))
    method.number.data.fill_(1.0)
    fit(method, pair, FitConfig(weight_decay=0.5, warmup=0.3))
    kept = [1 - 0.1 * rate(step, 10, 0.3) * 0.5 for step in range(10)]
    numbers = [number for number, _ in method.steps]
    assert numbers == pytest.approx(list(itertools.accumulate(kept, lambda a, b: a * b)))


@pytest.mark.parametrize("limit", [0.25, 100.0])
def test_gradients_are_clipped_at_the_limit(pair, limit):
    method = made(epochs=(1, 0))
    fit(method, pair, FitConfig(clip_norm=limit))
    assert (method.steps[0][1] == pytest.approx(0.25)) == (limit == 0.25)


def test_batches_follow_the_seed_of_the_method(pair):
    first, again, other = (made(seed) for seed in (1, 1, 2))
    for method in (first, again, other):
        fit(method, pair)
    assert first.steps == again.steps != other.steps


def test_each_epoch_shows_every_image_in_an_order_of_its_own(pair):
    method = made()
    fit(method, pair)
    orders = [a + b for a, b in zip(method.shown[::2], method.shown[1::2], strict=True)]
    assert all(sorted(order) == list(range(8)) for order in orders)
    assert len({tuple(order) for order in orders}) == 5  # also the first epochs of the two stages


def test_nothing_is_written_without_a_folder(pair, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fit(made(), pair)
    assert not list(tmp_path.iterdir())


def test_a_loss_that_is_no_number_is_named_with_its_term(pair):
    method = made()
    method.number.data.fill_(float("nan"))
    with pytest.raises(InputError, match=r"^stage 'one', epoch 1: (loss|near) is nan; lower the learning"):
        fit(method, pair)


def test_sgd_is_the_plain_rule_with_momentum_and_decay(pair):
    """The same numbers from the rule: v ← μ v + g + λ w, w ← w − rate · v."""
    method = made(epochs=(5, 0), weight=0.05)
    method.number.data.fill_(100.0)  # so far above its goal that every gradient is positive
    cfg = FitConfig(optimizer="sgd", momentum=0.6, weight_decay=0.1, warmup=0.0, clip_norm=1e6)
    fit(method, pair, cfg)
    number, velocity, expected = 100.0, 0.0, []
    for step, (_, gradient) in enumerate(method.steps):
        velocity = 0.6 * velocity + gradient + 0.1 * number
        number -= 0.1 * rate(step, 10, 0.0) * velocity
        expected.append(number)
    assert [found for found, _ in method.steps] == pytest.approx(expected, rel=1e-5)


def test_what_only_rounds_or_is_not_used_is_no_fact():
    plain, other = FitConfig().facts(), FitConfig(optimizer="sgd").facts()
    assert set(plain) == {"augment", "optimizer", "weight_decay", "warmup", "clip_norm", "tower"}
    assert plain["tower"] == {"precision": "auto"}
    assert (other["optimizer"], other["momentum"]) == ("sgd", 0.9)
