"""CLAIR's pseudo-labels: whose vote counts, and what replaces them."""

import dataclasses

import pytest
import torch

from tpsnet.methods import CLAIR, CLAIRConfig
from tpsnet.methods.clair.texts import centred
from tpsnet.targets import kmeans, refine_pseudo_labels, text_votes

pytestmark = pytest.mark.usefixtures("exact")
NAMES = ("ant", "bee", "cat", "dog")
CONFIG = CLAIRConfig(NAMES, agreement=0.7, doubted=0.3, doubt=0.4, vote_temperature=0.1)


def prepared(backbone, pair, oracle=None, **changes) -> CLAIR:
    method = CLAIR(backbone, dataclasses.replace(CONFIG, **changes), seed=1)
    method.oracle = oracle
    method.prepare(pair)
    return method


def test_texts_and_clusters_vote(backbone, pair):
    """Both centred by domain; the learned context counts where it is asked for."""
    method = prepared(backbone, pair)
    with torch.no_grad():
        method.texts.prompt.context.mul_(50)
    for learned in (False, True):
        method.targets.renew(method.texts, learned=learned)
        shares = method.targets.shares()
        found = []
        for d, images in enumerate(pair):
            rows = (method.texts if learned else method.texts.written)(NAMES, images.name)
            vectors = method.targets.vectors[d]
            votes = text_votes(vectors, centred(rows), 0.1)
            clusters = kmeans(vectors, 4, seed=1).assignment
            expected = refine_pseudo_labels(votes, clusters, agreement=0.7, quantile=0.3, doubt=0.4)
            found.append(expected)
            for kind in ("labels", "confidence", "kept", "corrected", "doubted"):
                assert torch.equal(getattr(method.targets.found[d], kind), getattr(expected, kind))
        for kind in ("kept", "corrected", "doubted"):
            flags = torch.cat([getattr(labels, kind) for labels in found])
            assert shares[kind] == pytest.approx(float(flags.double().mean()))
        assert sum(shares.values()) == pytest.approx(1) and shares["doubted"] > 0


def test_texts_describe_the_colour_view(backbone, pair):
    targets = prepared(backbone, pair).targets
    assert all(rows is views[0] for rows, views in zip(targets.vectors, targets.views, strict=True))
    width = sum(z.shape[1] for z in targets.views[0])
    assert len(targets.views[0]) == 3 and targets.prototypes.shape == (4, width)


@pytest.mark.parametrize("clusters", [0, 3, 50])
def test_clusters_are_counted_by_the_names_or_the_config(backbone, pair, clusters):
    """No more than there are images."""
    method = prepared(backbone, pair, clusters=clusters)
    for rows, found in zip(method.targets.vectors, method.targets.clusters, strict=True):
        k = {0: 4, 3: 3, 50: len(rows)}[clusters]
        assert torch.equal(found, kmeans(rows, k, seed=1).assignment)


def test_refinement_can_be_left_out(backbone, pair):
    method = prepared(backbone, pair, refined=False)
    for d, found in enumerate(method.targets.found):
        texts = centred(method.texts.written(NAMES, pair[d].name))
        assert torch.equal(found.labels, (method.targets.vectors[d] @ texts.T).argmax(dim=1))
        assert torch.equal(found.confidence, torch.ones(len(pair[d]))) and found.kept.all()


def test_labels_of_an_oracle_are_taken_as_they_are(backbone, pair):
    """Throughout the training, with full confidence."""
    oracle = tuple(torch.arange(len(images)) // 6 for images in pair)  # clusters say otherwise
    method = prepared(backbone, pair, oracle)
    honest = prepared(backbone, pair).targets.found
    assert not any(torch.equal(found.labels, labels) for found, labels in zip(honest, oracle, strict=True))
    for stage in method.stages():
        stage.begin_epoch(0)
        for found, labels in zip(method.targets.found, oracle, strict=True):
            assert torch.equal(found.labels, labels)
            assert torch.equal(found.confidence, torch.ones(len(labels))) and found.kept.all()
