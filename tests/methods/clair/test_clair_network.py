"""CLAIR's network: what stands in an embedding, what map and texts do, and what is refused."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from tpsnet.errors import InputError
from tpsnet.methods import CLAIR, CLAIRConfig, Frozen, FrozenConfig
from tpsnet.methods.clair.texts import centred
from tpsnet.training import fit

pytestmark = pytest.mark.usefixtures("exact")
NAMES = ("ant", "bee", "cat", "dog")
ONE = {"phase_prior": False, "figure_view": False}  # colour alone, so that halves are easy to tell apart
CONFIG = CLAIRConfig(NAMES, text_epochs=2, epochs=2, batch_size=16, trained_share=0.6, **ONE)


def prepared(backbone, pair, **changes) -> CLAIR:
    method = CLAIR(backbone, dataclasses.replace(CONFIG, **changes))
    method.prepare(pair)
    return method.eval()


@pytest.fixture(scope="module")
def baseline(backbone, pair, exact) -> list[torch.Tensor]:
    """Centred CLIP vectors of both domains, averaged with those of mirror images."""
    method = Frozen(backbone, FrozenConfig(centred=True, flipped=True))
    method.prepare(pair)
    return [method.embed(images) for images in pair]


@pytest.fixture(scope="module")
def trained(backbone, pair, exact) -> CLAIR:
    """At high rates, so that texts and maps leave their start behind."""
    changes = {"trained_share": 0.36, "text_lr": 0.3, "map_lr": 0.05, "map_penalty": 0.1}
    method = CLAIR(backbone, dataclasses.replace(CONFIG, **changes))
    fit(method, pair)
    return method


def halves(method: CLAIR, images) -> tuple[torch.Tensor, torch.Tensor]:
    return method.embed(images).split(method.given.dim, dim=1)


def test_the_frozen_vector_stays_beside_the_trained_one(trained, pair, baseline):
    """In its share, after training too."""
    clip, found = halves(trained, pair[1])
    torch.testing.assert_close(clip, 0.8 * baseline[1], atol=1e-5, rtol=0)
    torch.testing.assert_close(found.norm(dim=1), torch.full((20,), 0.6))
    assert (found / 0.6 - baseline[1]).norm(dim=1).min() > 1e-3


def test_training_starts_at_the_frozen_vector(backbone, pair, baseline):
    method = prepared(backbone, pair, trained_share=1.0)
    torch.testing.assert_close(halves(method, pair[1])[1], baseline[1], atol=1e-5, rtol=0)


def test_both_halves_have_all_views_in_their_weights(backbone, pair):
    method = prepared(backbone, pair, phase_prior=True, figure_view=True, map="none")
    found = method.embed(pair[1])
    parts = [0.4 * w for w in method.weights.tolist()] + [0.6 * w for w in method.weights.tolist()]
    lengths = torch.stack([part.norm(dim=1) for part in found.split(method.given.dim, dim=1)], dim=1)
    torch.testing.assert_close(lengths, torch.tensor(parts).sqrt().expand(20, -1))


@pytest.mark.parametrize("kind", ["procrustes", "ridge"])
def test_the_map_takes_the_first_domain_to_the_second(backbone, pair, kind):
    """Both halves of an embedding, and no other domain."""
    method = prepared(backbone, pair, map=kind, map_penalty=0.1)
    plain = prepared(backbone, pair, map="none", map_penalty=0.1)
    here, there = (centred(method.texts(NAMES, images.name)).double() for images in pair)
    w = method.map
    assert torch.equal(w, method.texts.cross_domain_map(("line", "shaded")))
    assert (here @ w - there).norm() < (here - there).norm() < (here @ w.T - there).norm()
    for mapped, start, share in zip(halves(method, pair[0]), halves(plain, pair[0]), (0.4, 0.6), strict=True):
        expected = share**0.5 * F.normalize(start.double() @ w, dim=1).float()
        torch.testing.assert_close(mapped, expected, atol=1e-5, rtol=0)
    assert torch.equal(method.embed(pair[1]), plain.embed(pair[1]))


def test_without_a_map_both_domains_stay(backbone, pair, baseline):
    method = prepared(backbone, pair, map="none", trained_share=0.0)
    torch.testing.assert_close(halves(method, pair[0])[0], baseline[0], atol=1e-5, rtol=0)
    assert torch.equal(method.map, torch.eye(24, dtype=torch.float64))


def test_texts_are_queries_of_their_domain(trained):
    """With the learned context, less the mean of the seen names; as an image of that vector would be."""
    for d, domain in enumerate(trained.domains):
        seen = trained.texts(NAMES, domain).mean(dim=0)
        rows = F.normalize(trained.texts(("moon", "bee"), domain) - seen, dim=1)
        both = [rows, F.normalize(rows + rows @ trained.maps[0].detach(), dim=1)]
        if d == 0:
            both = [F.normalize(z.double() @ trained.map, dim=1).float() for z in both]
        expected = torch.cat([0.8 * both[0], 0.6 * both[1]], dim=1)
        found = trained.embed_texts(("moon", "bee"), domain)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_the_context_can_be_left_out(backbone, pair):
    method = CLAIR(backbone, dataclasses.replace(CONFIG, context=0, epochs=1))
    assert {name for name, p in method.named_parameters() if p.requires_grad} == {"maps.0"}
    assert [row["stage"] for row in fit(method, pair)] == ["images"]


def test_bad_input_is_one_line(backbone, pair):
    refused = {
        "^CLAIR needs the class names": {"names": ()},
        "names a class twice": {"names": ("ant", "ant")},
        "larger vocabulary": {"map": "procrustes", "map_rank": 5},
        "belongs to map='procrustes'": {"map_rank": 2},
        "number from 0 to 1": {"trained_share": 1.5},
        "whole number from 0": {"context": -1},
        "context = 13: the text tower has room": {"context": 13},
    }
    for message, changes in refused.items():
        with pytest.raises(InputError, match=message):
            prepared(backbone, pair, **changes)
