"""The two attentions: what they start as, what they depend on, and a slow reference."""

import math

import pytest
import torch

from tpsnet.methods.tpsnet_printed.attention import Fusion, Synergy

B, L, C, D, W = 3, 4, 5, 8, 6


@pytest.fixture
def inputs(unit, rng):
    sequence = torch.randn(B, L, D, generator=rng, dtype=torch.float64)
    return unit(B, D), sequence, unit(C, D)


def synergy() -> Synergy:
    """A double-precision synergy whose gate is open, so that differences show."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = Synergy(D, heads=2, temperature=0.5).double()
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


def test_synergy_is_the_slow_reference(inputs):
    module = synergy()
    torch.testing.assert_close(module(*inputs), slow_synergy(module, *inputs))


def test_both_start_as_the_identity(inputs, rng):
    fused = inputs[0]
    torch.testing.assert_close(Synergy(D, 2, 0.1).double()(*inputs), fused)
    tokens = torch.randn(B, L, W, generator=rng)
    pooled, _ = Fusion(D, W, heads=2)(fused.float(), tokens, phase=torch.randn(B, D, generator=rng))
    torch.testing.assert_close(pooled, fused.float())


def test_the_text_has_influence(inputs, unit):
    fused, sequence, prompts = inputs
    module = synergy()
    assert (module(fused, sequence, prompts) - module(fused, sequence, unit(C, D))).abs().max() > 1e-3


def test_order_of_prompts_and_tokens_does_not_matter(inputs, rng):
    fused, sequence, prompts = inputs
    module = synergy()
    shuffled = module(fused, sequence.flip(1), prompts.flip(0))
    torch.testing.assert_close(module(fused, sequence, prompts), shuffled)


def test_the_phase_token_joins_the_sequence(rng, unit):
    fusion, vector = Fusion(D, W, heads=2), unit(B, D).float()
    tokens, phase = torch.randn(B, L, W, generator=rng), torch.randn(2, B, D, generator=rng)
    sequences = [fusion(vector, tokens, p)[1] for p in phase]
    assert sequences[0].shape == (B, L + 2, D)
    moved = (sequences[0] - sequences[1]).detach().abs().amax(dim=(0, 2))
    assert float(moved.min()) > 1e-3  # the others have attended to it


def test_gradient_reaches_every_weight_once_the_gate_is_open(inputs):
    module = synergy()
    module(*inputs)[:, 0].sum().backward()
    # A key's bias shifts all scores of a query alike: the softmax cancels it.
    dead = [n for n, p in module.named_parameters() if p.grad.abs().max() < 1e-12]
    assert dead == ["key.bias"]
