"""The network of TPSNet as printed: what becomes of an image, and what an embedding is made of."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from pictures import CLASSES

from tpsnet.backbone import embed_all, phase_image
from tpsnet.errors import InputError
from tpsnet.methods import Frozen, FrozenConfig, TPSNetPrinted, TPSNetPrintedConfig
from tpsnet.training import fit

pytestmark = pytest.mark.usefixtures("exact")
CONFIG = TPSNetPrintedConfig(clusters=CLASSES, prompt_epochs=2, prompt_warmup=1, epochs=2, batch_size=16)


def prepared(backbone, pair, **changes) -> TPSNetPrinted:
    method = TPSNetPrinted(backbone, dataclasses.replace(CONFIG, **changes))
    method.prepare(pair)
    return method.eval()


@pytest.fixture(scope="module")
def baseline(backbone, pair, exact) -> Frozen:
    method = Frozen(backbone, FrozenConfig(centred=True))
    method.prepare(pair)
    return method


@pytest.fixture(scope="module")
def trained(backbone, pair, exact) -> TPSNetPrinted:
    """At high rates, so that it leaves its start behind."""
    method = TPSNetPrinted(backbone, dataclasses.replace(CONFIG, encoder_lr=1e-3, module_lr=1e-2))
    fit(method, pair)
    return method


def opened(method: TPSNetPrinted) -> TPSNetPrinted:
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
            "phase of another image": method.synergy(
                *method.fusion(centred, tokens, phase.flip(0)), method.texts[d]
            ),
        }
        for mistake, wrong in mistakes.items():
            assert (wrong - expected).abs().max() > 1e-3, mistake


def test_it_starts_as_the_centred_baseline(backbone, pair, baseline):
    method = prepared(backbone, pair)
    for images in pair:
        torch.testing.assert_close(method.embed(images), baseline.embed(images), atol=1e-5, rtol=0)


def test_the_shift_of_training_is_taken_off_by_domain(trained, pair):
    """What is left of the domains' means is what normalising the rows brings back."""
    for d, images in enumerate(pair):
        rows = embed_all(lambda x, d=d: trained(x, d), images)
        assert rows.mean(dim=0).norm() > 1e-2
        torch.testing.assert_close(trained.shift[d], rows.mean(dim=0))
        expected = F.normalize(rows - rows.mean(dim=0), dim=1)
        torch.testing.assert_close(trained.embed(images), expected)


def test_features_are_centred(backbone, pair):
    method = prepared(backbone, pair)
    for d, images in enumerate(pair):
        plain = embed_all(backbone.encode_image, images)
        torch.testing.assert_close(method.offsets[d], plain.mean(dim=0))
        expected = F.normalize(plain - plain.mean(dim=0), dim=1)
        torch.testing.assert_close(method.targets.features[d], expected)


def test_bad_input_is_one_line(backbone, pair):
    with pytest.raises(InputError, match=r"^domain 'shaded' has 20 images for 21 clusters; ask for fewer cl"):
        prepared(backbone, pair, clusters=21)
    with pytest.raises(InputError, match=r"^TPSNetPrinted needs the number of clusters; set clusters"):
        TPSNetPrinted(backbone, TPSNetPrintedConfig())


def test_embeddings_that_are_not_finite_are_named(backbone, pair):
    method = TPSNetPrinted(backbone, CONFIG)
    method.prepare(pair)
    method.synergy.norm.weight.data.fill_(torch.nan)
    with pytest.raises(InputError, match="NaN or infinity"):
        fit(method, pair)


def test_heads_divide_the_width(backbone):
    with pytest.raises(InputError, match="heads = 5: they must divide the 24 numbers of an embedding"):
        TPSNetPrinted(backbone, dataclasses.replace(CONFIG, heads=5))
