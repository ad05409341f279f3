"""The two attentions: what they start as, what each mode depends on, and a slow reference."""

import math

import pytest
import torch

from tpsnet.methods.tpsnet.attention import Fusion, Synergy

B, L, C, D, W = 3, 4, 5, 8, 6


@pytest.fixture
def inputs(unit, rng):
    sequence = torch.randn(B, L, D, generator=rng, dtype=torch.float64)
    return unit(B, D), sequence, unit(C, D)


def synergy(mode: str, rng: torch.Generator) -> Synergy:
    """A double-precision synergy whose gate is open, so that differences show."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = Synergy(D, heads=2, mode=mode, temperature=0.5).double()
        torch.nn.init.normal_(module.gate.weight)
    return module


@torch.no_grad()
def slow_synergy(module: Synergy, fused, sequence, prompts) -> torch.Tensor:
    """Image by image, prompt by prompt, head by head; answers averaged last."""
    heads, width = module.heads, D // module.heads
    rows = []
    for image, tokens in zip(fused, sequence, strict=True):
        cosine = [float(image @ p) for p in prompts]
        share = [math.exp(c / module.temperature) for c in cosine]
        answer = torch.zeros(D, dtype=torch.float64)
        for p, s in zip(prompts, share, strict=True):
            parts = []
            for h in range(heads):
                cut = slice(h * width, (h + 1) * width)
                q = module.query(p * D**0.5)[cut]
                scores = [math.exp(float(q @ module.key(t)[cut]) / width**0.5) for t in tokens]
                value = sum(w * module.value(t)[cut] for w, t in zip(scores, tokens, strict=True))
                parts.append(value / sum(scores))
            answer += s / sum(share) * torch.cat(parts)
        out = image + module.gate(module.norm(answer))
        rows.append(out / out.norm())
    return torch.stack(rows)


def test_synergy_is_the_slow_reference(inputs, rng):
    module = synergy("tokens", rng)
    torch.testing.assert_close(module(*inputs), slow_synergy(module, *inputs))


def test_both_start_as_the_identity(inputs, rng):
    fused = inputs[0]
    torch.testing.assert_close(Synergy(D, 2, "tokens", 0.1).double()(*inputs), fused)
    tokens = torch.randn(B, L, W, generator=rng)
    pooled, _ = Fusion(D, W, heads=2)(fused.float(), tokens, phase=torch.randn(B, D, generator=rng))
    torch.testing.assert_close(pooled, fused.float())


@pytest.mark.parametrize(("mode", "listens"), [("tokens", True), ("assigned", True), ("literal", False)])
def test_the_literal_reading_ignores_the_text(inputs, unit, rng, mode, listens):
    """One pooled key makes the softmax 1: the prompts have no influence."""
    fused, sequence, prompts = inputs
    module = synergy(mode, rng)
    moved = (module(fused, sequence, prompts) - module(fused, sequence, unit(C, D))).abs().max()
    assert (moved > 1e-3) == listens


def test_assigned_hears_only_the_nearest_prompt(inputs, rng):
    fused, sequence, prompts = inputs
    module = synergy("assigned", rng)
    nearest = (fused @ prompts.T).argmax(dim=1)
    alone = torch.cat(
        [module(fused[[i]], sequence[[i]], prompts[[c]]) for i, c in enumerate(nearest.tolist())]
    )
    torch.testing.assert_close(module(fused, sequence, prompts), alone)


def test_order_of_prompts_and_tokens_does_not_matter(inputs, rng):
    fused, sequence, prompts = inputs
    module = synergy("tokens", rng)
    shuffled = module(fused, sequence.flip(1), prompts.flip(0))
    torch.testing.assert_close(module(fused, sequence, prompts), shuffled)


def test_the_phase_token_joins_the_sequence(rng, unit):
    fusion, vector = Fusion(D, W, heads=2), unit(B, D).float()
    tokens, phase = torch.randn(B, L, W, generator=rng), torch.randn(B, D, generator=rng)
    _, without = fusion(vector, tokens, None)
    _, joined = fusion(vector, tokens, phase)
    assert without.shape == (B, L + 1, D) and joined.shape == (B, L + 2, D)
    assert (joined[:, : L + 1] - without).abs().max() > 1e-3  # the others have attended to it


def test_gradient_reaches_every_weight_once_the_gate_is_open(inputs, rng):
    module = synergy("tokens", rng)
    module(*inputs)[:, 0].sum().backward()
    # A key's bias shifts all scores of a query alike: the softmax cancels it.
    dead = [n for n, p in module.named_parameters() if p.grad.abs().max() < 1e-12]
    assert dead == ["key.bias"]
