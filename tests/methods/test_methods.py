"""One contract for all methods: unit rows, no labels, the same seed the same weights, resume."""

import dataclasses
from collections.abc import Callable

import pytest
import torch
from pictures import CLASSES

from tpsnet.backbone import embed_all
from tpsnet.data import AugmentConfig
from tpsnet.engine import FitConfig, fit
from tpsnet.methods import CLAIR, UEM, CLAIRConfig, Frozen, TPSNet, TPSNetConfig, UEMConfig
from tpsnet.types import InputError

CONFIG = TPSNetConfig(clusters=CLASSES, epochs=3, prompt_epochs=3, prompt_warmup=1, batch_size=16)
UEM_CONFIG = UEMConfig(clusters=CLASSES, idse_epochs=3, cdsm_epochs=3, batch_size=16)
CLAIR_NAMES = ("ant", "bee", "cat", "dog")
CLAIR_CONFIG = CLAIRConfig(CLAIR_NAMES, text_epochs=3, epochs=3, batch_size=16, tower_groups=2)
METHODS: dict[str, Callable] = {
    "frozen": lambda b, first, second: Frozen(b),
    "centred": lambda b, first, second: Frozen(b, (first, second)),
    "tpsnet": lambda b, first, second: TPSNet(b, first, second, CONFIG),
    "uem": lambda b, first, second: UEM(b, first, second, UEM_CONFIG),
    "clair": lambda b, first, second: CLAIR(b, first, second, CLAIR_CONFIG),
}
TRAINED = ["tpsnet", "uem", "clair"]


@pytest.mark.parametrize("name", METHODS)
def test_embeddings_are_unit_rows_in_order_and_repeatable(name, backbone, pair):
    method = METHODS[name](backbone, *pair)
    vectors = method.embed(pair[0])
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(24))
    assert torch.equal(vectors, method.embed(pair[0])) and not vectors.requires_grad


@pytest.mark.parametrize("name", TRAINED)
def test_same_seed_same_weights_and_the_backbone_stays(name, backbone, pair):
    before = {k: v.clone() for k, v in backbone.state_dict().items()}
    runs = []
    for _ in range(2):
        method = METHODS[name](backbone, *pair)
        fit(method, pair, FitConfig(seed=3))
        runs.append(method.state_dict())
    assert all(torch.equal(v, runs[1][k]) for k, v in runs[0].items())
    assert all(torch.equal(v, backbone.state_dict()[k]) for k, v in before.items())


@pytest.mark.parametrize("name", TRAINED)
def test_training_moves_every_trainable_weight(name, backbone, pair):
    method = METHODS[name](backbone, *pair)
    trained = {id(p) for stage in method.stages() for group in stage.parameters for p in group["params"]}
    start = {n: p.detach().clone() for n, p in method.named_parameters()}
    fit(method, pair)
    for n, p in method.named_parameters():
        if id(p) not in trained and not n.startswith("frozen."):  # UEM's copy of stage 1
            assert torch.equal(p, start[n]), f"{n} is frozen"
    still = [n for n, p in method.named_parameters() if id(p) in trained and torch.equal(p, start[n])]
    # A key's bias is cancelled by the softmax.
    assert [n for n in still if not n.endswith("key.bias")] == []


@pytest.mark.parametrize("name", TRAINED)
def test_a_resumed_run_ends_with_the_same_bits(name, backbone, pair, tmp_path, monkeypatch):
    whole = METHODS[name](backbone, *pair)
    rows = fit(whole, pair, FitConfig(run=tmp_path / "whole"))
    for stop in (2, 3, 5):  # inside stage 1, between the stages, inside stage 2
        run = tmp_path / f"stopped{stop}"
        cfg = FitConfig(run=run, resume=True, save_every=0.0)
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr("tpsnet.engine.Progress.step", lambda self, note, left=[stop]: interrupt(left))
            fit(METHODS[name](backbone, *pair), pair, cfg)
        resumed = METHODS[name](backbone, *pair)
        again = fit(resumed, pair, cfg)
        assert all(torch.equal(v, resumed.state_dict()[k]) for k, v in whole.state_dict().items())
        assert torch.equal(whole.embed(pair[0]), resumed.embed(pair[0]))
        drop = {"seconds"}
        assert [{k: v for k, v in r.items() if k not in drop} for r in again] == [
            {k: v for k, v in r.items() if k not in drop} for r in rows
        ]


def interrupt(left: list[int]) -> None:
    left[0] -= 1
    if not left[0]:
        raise KeyboardInterrupt


def test_the_centred_floor_takes_off_the_means_it_was_given(backbone, pair):
    """Also from other pictures of a domain: what is measured later moves no mean."""
    floor, plain = Frozen(backbone, pair), Frozen(backbone)
    few = pair[1].subset([3, 5])
    expected = plain.embed(few) - plain.embed(pair[1]).mean(dim=0)
    torch.testing.assert_close(floor.embed(few), torch.nn.functional.normalize(expected, dim=1))
    with pytest.raises(InputError, match="'shaded' is not one of the centred ones"):
        Frozen(backbone, pair[:1]).embed(few)


def test_tpsnet_starts_as_the_centred_floor(backbone, pair):
    for changes in ({}, {"text_prior": False}, {"phase_prior": False}, {"synergy": "literal"}):
        method = TPSNet(backbone, *pair, dataclasses.replace(CONFIG, **changes))
        floor = Frozen(backbone, pair)
        torch.testing.assert_close(method.embed(pair[1]), floor.embed(pair[1]), atol=2e-3, rtol=0)


def test_the_shift_of_training_is_taken_off_by_domain(backbone, pair):
    """What is left of the domains' means is what normalising the rows brings back."""
    method = TPSNet(backbone, *pair, dataclasses.replace(CONFIG, start_weight=0.0))
    assert not method.shift.any()
    fit(method, pair)
    texts = method.texts()
    for d, images in enumerate(pair):
        trained = embed_all(lambda x, d=d: method.forward(x, d, texts), images)
        torch.testing.assert_close(method.shift[d], trained.mean(dim=0))
        expected = torch.nn.functional.normalize(trained - trained.mean(dim=0), dim=1)
        torch.testing.assert_close(method.embed(images), expected)


def test_the_start_keeps_its_say(backbone, pair):
    """An embedding is the sum of the trained vector and of the centred floor, which training leaves alone."""
    weighed = {}
    for weight in (0.0, 0.5, 1.0):
        method = TPSNet(backbone, *pair, dataclasses.replace(CONFIG, start_weight=weight))
        fit(method, pair)
        weighed[weight] = method.embed(pair[1])
    start = Frozen(backbone, pair).embed(pair[1])
    assert (weighed[0.0] * start).sum(dim=1).min() < 0.999
    for weight in (0.5, 1.0):
        expected = torch.nn.functional.normalize(weighed[0.0] + weight * start, dim=1)
        torch.testing.assert_close(weighed[weight], expected, atol=1e-5, rtol=1e-4)


def test_switches_leave_parts_out(backbone, pair):
    names = {
        key: {
            n.split(".")[0]
            for n, _ in TPSNet(
                backbone, *pair, dataclasses.replace(CONFIG, **{key: False})
            ).named_parameters()
        }
        for key in ("text_prior", "phase_prior")
    }
    assert not names["text_prior"] & {"prompts", "synergy"} and "phase" in names["text_prior"]
    assert "phase" not in names["phase_prior"] and {"prompts", "synergy"} <= names["phase_prior"]


def test_joint_clusters_share_prototypes_and_single_ones_do_not(backbone, pair):
    for joint in (True, False):
        method = TPSNet(backbone, *pair, dataclasses.replace(CONFIG, joint_clusters=joint))
        fit(method, pair)
        assert torch.equal(*method.prototypes) == joint
        torch.testing.assert_close(method.prototypes.norm(dim=2), torch.ones(2, CLASSES))


def test_the_phase_view_is_the_view_that_clip_sees(backbone, pair, monkeypatch):
    """RGB and phase come from the same augmented picture."""
    seen = []
    monkeypatch.setattr("tpsnet.methods.tpsnet.phase_image", lambda x: seen.append(x) or x[:, :1])
    method = TPSNet(backbone, *pair, CONFIG)
    images = torch.rand(2, 3, 32, 32)
    tokens = method.backbone.encode_tokens
    monkeypatch.setattr(method.backbone, "encode_tokens", lambda x: seen.append(x) or tokens(x))
    method.forward(images, 0, None)
    assert len(seen) == 2 and seen[0] is seen[1]


def test_bad_input_is_one_line(backbone, pair):
    with pytest.raises(InputError, match=r"'shaded' has 20 pictures for 21 clusters"):
        TPSNet(backbone, *pair, dataclasses.replace(CONFIG, clusters=21))
    with pytest.raises(InputError, match=r"'photo' is not one of the trained pair"):
        TPSNet(backbone, *pair, CONFIG).embed(dataclasses.replace(pair[0], name="photo"))


def test_exploding_rates_are_named(backbone, pair):
    wild = dataclasses.replace(CONFIG, module_lr=1e30, encoder_lr=1e30)
    with pytest.raises(InputError, match=r"lower the learning rates|NaN"):
        fit(TPSNet(backbone, *pair, wild), pair, FitConfig(augment=AugmentConfig()))
