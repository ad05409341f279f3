"""From images to what is measured: labels join the vectors, and queries carry their rejections."""

from pathlib import Path

import pytest
import torch

from tpsnet.data import Pair
from tpsnet.methods import Frozen, FrozenConfig, embeddings, with_rejections
from tpsnet.targets import reject_unreturned
from tpsnet.types import Domain


@pytest.fixture
def labelled(pair) -> Pair:
    """Four classes of a table of six; the first domain has three of them."""
    names = tuple("abcdef")
    domains = [
        Domain(images.name, tuple(Path(f"{i}.png") for i in range(len(images))), labels, names)
        for images, labels in zip(pair, (torch.arange(24) % 3, torch.arange(20) % 4), strict=True)
    ]
    return Pair(tuple(domains), pair)


def test_labels_join_the_vectors(backbone, labelled):
    method = Frozen(backbone, FrozenConfig())
    for found, domain, images in zip(
        embeddings(method, labelled), labelled.domains, labelled.images, strict=True
    ):
        assert torch.equal(found.vectors, method.embed(images)) and torch.equal(found.labels, domain.labels)
        assert (found.domain, found.class_names, found.paths) == (
            domain.name,
            domain.class_names,
            domain.paths,
        )
        assert found.rejected is None


def test_queries_carry_the_rejections_of_the_method(backbone, labelled):
    method = Frozen(backbone, FrozenConfig())
    both = embeddings(method, labelled)
    query, gallery = with_rejections(method, both, seed=2)
    expected = reject_unreturned(both[0].vectors, both[1].vectors)
    assert torch.equal(query.rejected, expected.rejected) and gallery is both[1]
    assert torch.equal(query.vectors, both[0].vectors)
