"""CLAIR's image tower: what of it is trained, at which rate, and what stays as it was given."""

import dataclasses

import pytest
import torch
from pictures import patterned

from tpsnet.backbone import load_backbone
from tpsnet.engine import fit
from tpsnet.methods import CLAIR, CLAIRConfig

CONFIG = CLAIRConfig(("ant", "bee", "cat", "dog"), text_epochs=2, epochs=2, batch_size=16)


@pytest.mark.parametrize(
    ("groups", "moved"), [(0, set()), (1, {"proj"}), (2, {"proj", "ln_post", "transformer.resblocks.1"})]
)
def test_only_the_last_groups_of_the_tower_are_trained(backbone, pair, groups, moved):
    method = CLAIR(backbone, *pair, dataclasses.replace(CONFIG, tower_groups=groups))
    frozen = {n: p.clone() for n, p in method.frozen.state_dict().items()}
    fit(method, pair)
    assert all(torch.equal(v, frozen[n]) for n, v in method.frozen.state_dict().items())
    changed = {n for n, v in method.backbone.tower.state_dict().items() if not torch.equal(v, frozen[n])}
    assert {part for part in moved if any(n.startswith(part) for n in changed)} == moved
    assert all(n.startswith(tuple(moved)) for n in changed)
    assert not any(p.grad is not None for p in method.backbone.clip.transformer.parameters())


def test_any_tower_is_trained_beside_itself_frozen(any_clip, rng):
    """Batch statistics too."""
    backbone = load_backbone(any_clip)
    pair = tuple(patterned(name, rng, side=backbone.image_size)[0] for name in ("line", "shaded"))
    method = CLAIR(backbone, *pair, dataclasses.replace(CONFIG, text_epochs=1, epochs=1, tower_groups=2))
    fit(method, pair)
    given = backbone.tower.state_dict()
    assert all(torch.equal(v, given[n]) for n, v in method.frozen.state_dict().items())
    moved = {n for n, v in method.backbone.tower.state_dict().items() if not torch.equal(v, given[n])}
    names = {id(p): n for n, p in method.backbone.tower.named_parameters()}
    assert moved and moved <= {names[id(p)] for p in method._unlocked}


def test_the_rates_are_those_of_the_settings(backbone, pair):
    cfg = dataclasses.replace(CONFIG, tower_groups=2, prompt_lr=0.5, tower_lr=0.25)
    method = CLAIR(backbone, *pair, cfg)
    prompts, tower = method.stages()[-1].parameters
    assert (prompts["lr"], tower["lr"]) == (0.5, 0.25)
    assert len(prompts["params"]) == 1 and prompts["params"][0].shape[:2] == (2, 4)
    assert any(p is method.backbone.clip.visual.proj for p in tower["params"])
