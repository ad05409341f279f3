"""TPSNet's network: what becomes of an image, what an embedding is made of, and what switches leave out."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from pictures import CLASSES

from tpsnet.backbone import embed_all, phase_image
from tpsnet.errors import InputError
from tpsnet.methods import Frozen, FrozenConfig, TPSNet, TPSNetConfig
from tpsnet.training import fit

pytestmark = pytest.mark.usefixtures("exact")
CONFIG = TPSNetConfig(clusters=CLASSES, prompt_epochs=2, prompt_warmup=1, epochs=2, batch_size=16)


def prepared(backbone, pair, **changes) -> TPSNet:
    method = TPSNet(backbone, dataclasses.replace(CONFIG, **changes))
    method.prepare(pair)
    return method.eval()


@pytest.fixture(scope="module")
def baseline(backbone, pair, exact) -> Frozen:
    method = Frozen(backbone, FrozenConfig(centred=True))
    method.prepare(pair)
    return method


@pytest.fixture(scope="module")
def trained(backbone, pair, exact) -> TPSNet:
    """At high rates, so that it leaves its start behind."""
    method = TPSNet(backbone, dataclasses.replace(CONFIG, encoder_lr=1e-3, module_lr=1e-2))
    fit(method, pair)
    return method


def opened(method: TPSNet) -> TPSNet:
    """With open gates, and with texts that differ between the domains."""
    rng = torch.Generator().manual_seed(1)
    for part in (method.fusion, method.synergy):
        torch.nn.init.normal_(part.gate.weight, std=0.5, generator=rng)
    method.texts.copy_(F.normalize(torch.randn(method.texts.shape, generator=rng), dim=2))
    return method


@torch.no_grad()
def test_an_image_goes_through_fusion_with_its_phase_and_through_the_texts_of_its_domain(backbone, pair, rng):
    method, images = opened(prepared(backbone, pair)), torch.rand(6, 3, 32, 32, generator=rng)
    vector, tokens = method.backbone.encode_tokens(images)
    phase = method.phase(phase_image(images))
    for d in range(2):
        centred = F.normalize(vector - method.offsets[d], dim=1)
        fused, sequence = method.fusion(centred, tokens, phase)
        expected = method.synergy(fused, sequence, method.texts[d])
        torch.testing.assert_close(method(images, d), expected)
        mistakes = {
            "no synergy": fused,
            "texts of the other domain": method.synergy(fused, sequence, method.texts[1 - d]),
            "no phase": method.synergy(*method.fusion(centred, tokens, None), method.texts[d]),
            "phase of another image": method.synergy(
                *method.fusion(centred, tokens, phase.flip(0)), method.texts[d]
            ),
        }
        for mistake, wrong in mistakes.items():
            assert (wrong - expected).abs().max() > 1e-3, mistake


@torch.no_grad()
def test_without_a_prior_its_part_is_left_out(backbone, pair):
    images = pair[0].pixels.float() / 255
    for switch in ("text_prior", "phase_prior"):
        method = prepared(backbone, pair, **{switch: False})
        torch.nn.init.normal_(method.fusion.gate.weight)
        vector, tokens = method.backbone.encode_tokens(images)
        phase = method.phase(phase_image(images)) if method.phase else None
        found, sequence = method.fusion(F.normalize(vector - method.offsets[0], dim=1), tokens, phase)
        if method.synergy:
            torch.nn.init.normal_(method.synergy.gate.weight)
            found = method.synergy(found, sequence, method.texts[0])
        torch.testing.assert_close(method(images, 0), found)
        names = {name.split(".")[0] for name, _ in method.named_parameters()}
        parts = {"text_prior": {"prompts", "synergy"}, "phase_prior": {"phase"}}
        assert names == {"backbone", "fusion", "phase", "prompts", "synergy"} - parts[switch]


def test_training_goes_through_without_the_text_prior(backbone, pair):
    method = TPSNet(backbone, dataclasses.replace(CONFIG, text_prior=False, epochs=1))
    rows = fit(method, pair)
    assert [row["stage"] for row in rows] == ["network"] and not method.texts.any()
    assert rows[0]["losses"]["i2tce"] == 0 and rows[0]["losses"]["pce"] > 0


@pytest.mark.parametrize(
    "changes",
    [{}, {"text_prior": False}, {"phase_prior": False}, {"synergy": "literal"}, {"start_weight": 0.0}],
)
def test_it_starts_as_the_centred_baseline(backbone, pair, baseline, changes):
    method = prepared(backbone, pair, **changes)
    for images in pair:
        torch.testing.assert_close(method.embed(images), baseline.embed(images), atol=1e-5, rtol=0)


def test_the_shift_of_training_is_taken_off_by_domain(trained, pair):
    """What is left of the domains' means is what normalising the rows brings back."""
    trained.cfg = dataclasses.replace(trained.cfg, start_weight=0.0)
    for d, images in enumerate(pair):
        rows = embed_all(lambda x, d=d: trained(x, d), images)
        assert rows.mean(dim=0).norm() > 1e-2
        torch.testing.assert_close(trained.shift[d], rows.mean(dim=0))
        expected = F.normalize(rows - rows.mean(dim=0), dim=1)
        torch.testing.assert_close(trained.embed(images), expected)


def test_the_start_keeps_its_weight(trained, pair, baseline):
    """An embedding is the trained vector plus the centred baseline, which training leaves alone."""
    found = {}
    for weight in (0.0, 0.5, 1.0):
        trained.cfg = dataclasses.replace(trained.cfg, start_weight=weight)
        found[weight] = trained.embed(pair[1])
    start = baseline.embed(pair[1])
    assert (found[0.0] * start).sum(dim=1).min() < 0.999
    for weight in (0.5, 1.0):
        expected = F.normalize(found[0.0] + weight * start, dim=1)
        torch.testing.assert_close(found[weight], expected, atol=1e-5, rtol=1e-4)


def test_features_are_centred_means_of_images_and_their_mirror_images(backbone, pair):
    method = prepared(backbone, pair)
    for d, images in enumerate(pair):
        plain = embed_all(backbone.encode_image, images)
        mirrored = embed_all(
            backbone.encode_image, dataclasses.replace(images, pixels=images.pixels.flip(-1))
        )
        torch.testing.assert_close(method.offsets[d], plain.mean(dim=0))
        expected = F.normalize((plain + mirrored) / 2 - plain.mean(dim=0), dim=1)
        torch.testing.assert_close(method.targets.features[d], expected)


def test_bad_input_is_one_line(backbone, pair):
    with pytest.raises(InputError, match=r"^domain 'shaded' has 20 images for 21 clusters; ask for fewer cl"):
        prepared(backbone, pair, clusters=21)
    with pytest.raises(InputError, match=r"^TPSNet needs the number of clusters; set clusters"):
        TPSNet(backbone, TPSNetConfig())


def test_exploding_rates_are_named(backbone, pair):
    wild = dataclasses.replace(CONFIG, module_lr=1e30, encoder_lr=1e30)
    with pytest.raises(InputError, match=r"lower the learning rates|NaN"):
        fit(TPSNet(backbone, wild), pair)
