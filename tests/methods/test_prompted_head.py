"""Visual prompts: a slow reference, the mean without them, and the moments of a domain's tokens."""

import torch
import torch.nn.functional as F

from tpsnet.methods.prompted_head import FirstLook, PromptedHead, first_look


def looks(rng: torch.Generator, width: int = 6) -> list[FirstLook]:
    return [
        FirstLook(torch.ones(1, 1), torch.randn(width, generator=rng), torch.rand(width, generator=rng) + 0.5)
        for _ in range(2)
    ]


def test_a_loop_over_pictures_and_prompts(rng):
    both = looks(rng)
    head = PromptedHead(both, 5, 3)
    with torch.no_grad():
        head.queries.normal_(generator=rng)
    tokens = torch.randn(4, 9, 6, generator=rng)
    spread = ((both[0].variance + both[1].variance) / 2).sqrt()
    for domain in range(2):
        for i, found in enumerate(head(tokens, domain)):
            t = (tokens[i] - both[domain].mean) / spread
            parts = []
            for q in head.queries[domain].detach():
                e = torch.exp(torch.tensor([float(q @ x) / 6**0.5 for x in t]))
                parts.append(sum(w * x for w, x in zip(e / e.sum(), t, strict=True)))
            torch.testing.assert_close(found, F.normalize(head.project(torch.cat(parts)), dim=0))


def test_prompts_that_ask_nothing_see_the_mean(rng):
    """Queries of zero look at every token alike; without queries the tokens are averaged."""
    both, tokens = looks(rng), torch.randn(2, 9, 6, generator=rng)
    asking, plain = PromptedHead(both, 5, 1), PromptedHead(both, 5, 0)
    with torch.no_grad():
        asking.queries.zero_()
        plain.project.weight.copy_(asking.project.weight)
    torch.testing.assert_close(asking(tokens, 1), plain(tokens, 1))


def test_moments_are_those_of_all_tokens(backbone, pair):
    found = first_look(backbone, pair[0])
    vectors, tokens = backbone.encode_tokens(pair[0].pixels.float() / 255)
    flat = tokens.flatten(0, 1)
    # Embedding may run in bfloat16, where the processor has it.
    torch.testing.assert_close(found.mean, flat.mean(dim=0), atol=2e-2, rtol=2e-2)
    torch.testing.assert_close(found.variance, flat.var(dim=0, correction=0), atol=3e-2, rtol=3e-2)
    torch.testing.assert_close(found.vectors, vectors, atol=2e-2, rtol=0)
