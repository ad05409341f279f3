"""CLAIR's texts: written and learned together, for any names, and the map that follows from them."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from tpsnet.backbone import class_texts
from tpsnet.methods import CLAIRConfig
from tpsnet.methods.clair.texts import DomainTexts, centred
from tpsnet.targets import procrustes_map, ridge_map

pytestmark = pytest.mark.usefixtures("exact")
NAMES = ("ant", "bee", "cat", "dog")
CONFIG = CLAIRConfig(NAMES)
WORDS = ("moon", "sun", "tree", "boat", "house", "car")


@pytest.fixture
def texts(backbone) -> DomainTexts:
    return DomainTexts(backbone, CONFIG, seed=0)


def test_written_and_learned_texts_are_added(texts, backbone):
    """In the words of the domain, for names that training never saw too."""
    written = class_texts(backbone, WORDS, "line drawing")
    assert torch.equal(texts.written(WORDS, "line"), written)
    learned = texts.prompt(texts.prompt.tokens(WORDS, "line drawing")).detach()
    torch.testing.assert_close(texts(WORDS, "line"), F.normalize(written + learned, dim=1))
    assert (texts(WORDS, "line") - texts(WORDS, "shaded")).norm(dim=1).min() > 1e-3


def test_a_moved_context_moves_the_texts_of_all_names(texts, backbone):
    """But not the hand-written ones."""
    before = texts(WORDS, "line")
    with torch.no_grad():
        texts.prompt.context.mul_(50)
    after = texts(WORDS, "line")
    torch.testing.assert_close(after.norm(dim=1), torch.ones(6))
    assert (after - before).norm(dim=1).min() > 1e-3
    assert torch.equal(texts.written(WORDS, "line"), class_texts(backbone, WORDS, "line drawing"))


def test_without_a_context_the_written_texts_are_all(backbone):
    plain = DomainTexts(backbone, dataclasses.replace(CONFIG, context=0), seed=0)
    assert torch.equal(plain(WORDS, "line"), class_texts(backbone, WORDS, "line drawing"))
    assert list(plain.parameters()) == []


def test_only_the_context_is_learned(texts):
    assert [name for name, _ in texts.named_parameters()] == ["prompt.context"]


@pytest.mark.parametrize("vocabulary", [(), WORDS])
def test_the_map_is_solved_from_the_vocabulary(backbone, vocabulary):
    """By default that of the seen classes; from texts with the learned context, centred."""
    cfg = dataclasses.replace(CONFIG, vocabulary=vocabulary, map_penalty=0.5)
    texts = DomainTexts(backbone, cfg, seed=0)
    start, goal = (centred(texts(vocabulary or NAMES, domain)) for domain in ("line", "shaded"))
    assert torch.equal(texts.cross_domain_map(("line", "shaded")), ridge_map(start, goal, 0.5))
    texts.cfg = dataclasses.replace(cfg, map="procrustes", map_rank=2)
    assert torch.equal(texts.cross_domain_map(("line", "shaded")), procrustes_map(start, goal, 2))
    texts.cfg = dataclasses.replace(cfg, map="none")
    assert torch.equal(texts.cross_domain_map(("line", "shaded")), torch.eye(24, dtype=torch.float64))


def test_centred_texts_have_no_mean_direction(unit):
    rows = unit(5, 4).float()
    torch.testing.assert_close(centred(rows), F.normalize(rows - rows.sum(dim=0) / 5, dim=1))
