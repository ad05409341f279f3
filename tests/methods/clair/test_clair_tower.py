"""CLAIR's image tower: what of it is trained, at which rate, and what stays as it was given."""

import dataclasses

import pytest
import torch
from methods.driving import first_images, step
from pictures import patterned

from tpsnet.backbone import load_backbone
from tpsnet.methods import CLAIR, CLAIRConfig

CONFIG = CLAIRConfig(("ant", "bee", "cat", "dog"), tower_groups=2)


def trained(backbone, pair, **changes) -> CLAIR:
    """By a few steps of stage 2."""
    method = CLAIR(backbone, dataclasses.replace(CONFIG, **changes))
    method.prepare(pair)
    stage = method.stages()[-1]
    stage.begin_epoch(0)
    for _ in range(2):
        step(stage, first_images(pair))
    return method


def changed(method: CLAIR) -> set[str]:
    """Weights and statistics of the tower that are no longer those given."""
    given = method.given.tower.state_dict()
    return {name for name, v in method.backbone.tower.state_dict().items() if not torch.equal(v, given[name])}


@pytest.mark.parametrize(
    ("groups", "moved"), [(0, set()), (1, {"proj"}), (2, {"proj", "ln_post", "transformer.resblocks.1"})]
)
def test_only_the_last_groups_of_the_tower_are_trained(backbone, pair, groups, moved):
    method = trained(backbone, pair, tower_groups=groups)
    names = changed(method)
    assert {part for part in moved if any(n.startswith(part) for n in names)} == moved
    assert all(n.startswith(tuple(moved)) for n in names)
    assert not any(p.requires_grad for p in method.backbone.clip.transformer.parameters())


def test_any_tower_is_trained_beside_itself_frozen(any_clip, rng):
    """Batch statistics too."""
    backbone, fresh = load_backbone(any_clip), load_backbone(any_clip).state_dict()
    pair = tuple(patterned(name, rng, side=backbone.image_size)[0] for name in ("line", "shaded"))
    method = trained(backbone, pair)
    assert all(torch.equal(v, fresh[k]) for k, v in method.given.state_dict().items())
    names = {id(p): n for n, p in method.backbone.tower.named_parameters()}
    moved = changed(method)
    assert moved and moved <= {names[id(p)] for p in method.unlocked}


def test_the_rates_are_those_of_the_config(backbone, pair):
    method = CLAIR(backbone, dataclasses.replace(CONFIG, prompt_lr=0.5, tower_lr=0.25))
    method.prepare(pair)
    prompts, tower = method.stages()[-1].parameters()
    assert (prompts["lr"], tower["lr"]) == (0.5, 0.25)
    assert len(prompts["params"]) == 1 and prompts["params"][0].shape[:2] == (2, 4)
    assert any(p is method.backbone.clip.visual.proj for p in tower["params"])
