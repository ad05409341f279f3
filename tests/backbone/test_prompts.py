"""Learnable prompts against plain text, and the promise of one text pass a step."""

import pytest
import torch

from tpsnet.backbone import DomainPrompts, NamePrompt, captions, check_context, load_backbone
from tpsnet.errors import InputError


def test_contexts_of_real_words_give_the_plain_text(any_clip):
    """With the word vectors of four words as contexts, the prompt is that sentence."""
    backbone = load_backbone(any_clip)
    prompts = DomainPrompts(backbone, n_classes=2, n_context=4)
    sentences = ["An image of a red cat sleeping outside", "An image of a small dog eating bread"]
    tokens = backbone.tokenizer(sentences)
    with torch.no_grad():
        prompts.contexts.copy_(backbone.word_embedding(tokens)[:, prompts.first : prompts.first + 4])
    torch.testing.assert_close(prompts().detach(), backbone.encode_text(sentences), atol=1e-6, rtol=0)


def test_only_contexts_are_parameters_and_they_get_a_gradient(small_clip):
    prompts = DomainPrompts(load_backbone(small_clip), n_classes=3, n_context=2)
    assert [name for name, _ in prompts.named_parameters()] == ["contexts"]
    assert list(prompts.state_dict()) == ["contexts"]
    prompts()[:, 0].sum().backward()
    assert (prompts.contexts.grad.flatten(1).norm(dim=1) > 0).all()


def test_all_prompts_take_one_text_pass(small_clip):
    backbone = load_backbone(small_clip)
    seen = []
    backbone.clip.transformer.register_forward_hook(lambda module, args, out: seen.append(out.shape[0]))
    DomainPrompts(backbone, n_classes=5)()
    assert seen == [5]


def test_the_hook_is_gone_afterwards(small_clip):
    backbone = load_backbone(small_clip)
    before = backbone.encode_text(["a cat"])
    DomainPrompts(backbone, n_classes=1)()
    assert torch.equal(before, backbone.encode_text(["a cat"]))


def test_seed_decides_the_start(small_clip):
    backbone = load_backbone(small_clip)
    one, same, other = (DomainPrompts(backbone, 2, seed=s).contexts for s in (0, 0, 1))
    assert torch.equal(one, same) and not torch.equal(one, other)


def test_a_context_of_real_words_gives_the_plain_texts(any_clip):
    """With the word vectors of four words as the context, a text is those words before the caption."""
    backbone = load_backbone(any_clip)
    prompt = NamePrompt(backbone, n_context=4)
    sentences = [
        f"red cat sleeping outside {captions(name, 'line drawing')[0]}" for name in ("ant", "tree_frog")
    ]
    with torch.no_grad():
        prompt.context.copy_(backbone.word_embedding(backbone.tokenizer(sentences[:1]))[0, 1:5])
    tokens = prompt.tokens(("ant", "tree_frog"), "line drawing")
    torch.testing.assert_close(prompt(tokens).detach(), backbone.encode_text(sentences), atol=1e-6, rtol=0)
    torch.testing.assert_close(prompt(tokens[1:]).detach(), prompt(tokens)[1:].detach())


def test_only_the_context_is_a_parameter(small_clip):
    prompt = NamePrompt(load_backbone(small_clip), n_context=3)
    assert list(prompt.state_dict()) == ["context"] and prompt.context.shape == (3, 32)
    prompt(prompt.tokens(("ant",), "line drawing"))[:, 0].sum().backward()
    assert (prompt.context.grad.norm(dim=1) > 0).all()


def test_a_context_that_fills_the_text_tower_is_the_longest(small_clip):
    """Of 16 tokens, two are marks; four say "An image of a", and one a short name."""
    backbone = load_backbone(small_clip)
    assert DomainPrompts(backbone, n_classes=2, n_context=10)().isfinite().all()
    with pytest.raises(
        InputError, match=r"context = 11: the text tower has room for 10 beside 'An image of a'"
    ):
        DomainPrompts(backbone, n_classes=2, n_context=11)
    check_context(backbone, 13, ["ant", "bee"])
    with pytest.raises(InputError, match=r"room for 12 beside 'an ant'"):
        check_context(backbone, 13, ["ant", "an ant"])
