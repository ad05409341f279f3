"""Visual prompts: a slow reference, nothing from queries of zero, and the readout of mean tokens."""

import pytest
import torch

from tpsnet.methods.clair.visual_prompts import PENALTY, FrozenStatistics, VisualPrompts, frozen_statistics

pytestmark = pytest.mark.usefixtures("exact")


def statistics(rng: torch.Generator, width: int = 6) -> list[FrozenStatistics]:
    return [
        FrozenStatistics(
            torch.randn(30, 5, generator=rng),
            torch.randn(30, width, generator=rng),
            torch.rand(width, generator=rng) + 0.5,
        )
        for _ in range(2)
    ]


def fixed(both: list[FrozenStatistics], prompts: int) -> VisualPrompts:
    found = VisualPrompts(6, 5, prompts)
    found.fix(both)
    return found


def test_a_loop_over_images_and_prompts(rng):
    both = statistics(rng)
    prompts = fixed(both, 3)
    with torch.no_grad():
        prompts.queries.normal_(generator=rng)
    tokens = torch.randn(4, 9, 6, generator=rng)
    spread = ((both[0].variance + both[1].variance) / 2).sqrt()
    for domain in range(2):
        for i, found in enumerate(prompts(tokens, domain)):
            t = (tokens[i] - both[domain].tokens.mean(dim=0)) / spread
            seen = []
            for q in prompts.queries[domain].detach():
                e = torch.exp(torch.tensor([float(q @ x) / 6**0.5 for x in t]))
                seen.append(sum(w * x for w, x in zip(e / e.sum(), t, strict=True)))
            expected = (sum(seen) / 3 - t.mean(dim=0)) @ prompts.readout
            torch.testing.assert_close(found, expected)


def test_prompts_of_zero_add_nothing(rng):
    prompts, tokens = fixed(statistics(rng), 2), torch.randn(2, 9, 6, generator=rng)
    with torch.no_grad():
        prompts.queries.zero_()
    torch.testing.assert_close(prompts(tokens, 1), torch.zeros(2, 5), atol=1e-6, rtol=0)


def test_only_the_queries_are_learned(rng):
    prompts = fixed(statistics(rng), 2)
    assert [name for name, _ in prompts.named_parameters()] == ["queries"]
    assert not any(b.requires_grad for b in prompts.buffers())


def test_the_readout_solves_the_ridge_regression(rng):
    """Where the gradient is zero."""
    both = statistics(rng)
    prompts = fixed(both, 2)
    x = torch.cat([o.tokens - o.tokens.mean(dim=0) for o in both]) / prompts.spread
    y = torch.cat([o.vectors - o.vectors.mean(dim=0) for o in both])
    gradient = x.T @ (x @ prompts.readout - y) + PENALTY * 60 * prompts.readout
    torch.testing.assert_close(gradient, torch.zeros(6, 5), atol=1e-4, rtol=0)


def test_a_silent_channel_does_not_drown_the_others(rng):
    """Once the tower moves, it may wake."""
    both = statistics(rng)
    for found in both:
        found.tokens[:, 2] = 0
        found.variance[2] = 0
    spread = fixed(both, 2).spread
    assert spread[2] > 0.02 * spread.mean()


def test_moments_are_those_of_all_tokens(backbone, pair):
    found = frozen_statistics(backbone, pair[0])
    vectors, tokens = backbone.encode_tokens(pair[0].pixels.float() / 255)
    torch.testing.assert_close(found.tokens, tokens.mean(dim=1))
    variance = tokens.flatten(0, 1).var(dim=0, correction=0)
    torch.testing.assert_close(found.variance, variance, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found.vectors, vectors)
