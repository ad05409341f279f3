"""The trials on frozen vectors: what is joined, whose neighbours count, what a map learns."""

import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from tools.studies import frozen_views
from tools.studies.frozen_views import counterparts, fit_maps, joined, measured, neighbours, page, view_of
from tpsnet.backbone import load_backbone
from tpsnet.data import load_pair


@pytest.fixture
def backbone(small_clip):
    return load_backbone(small_clip)


@pytest.fixture
def pair(root, backbone):
    return load_pair(root, ("flat", "line"), backbone.image_size)


def test_the_cosine_of_joined_views_is_the_mean_of_theirs(unit):
    views = [[unit(5, 4), unit(6, 4)] for _ in range(2)]
    first, second = joined(views)
    expected = sum(a @ b.T for a, b in views) / 2
    torch.testing.assert_close(first @ second.T, expected)


def test_a_view_is_centred_and_the_same_for_mirror_images(pair, backbone):
    seen = []
    domains = view_of(backbone, pair, lambda x: seen.append(x) or x)
    assert len(seen) >= 4 and any(torch.equal(a, b.flip(-1)) for a in seen for b in seen)
    for z in domains:
        assert z.mean(dim=0).norm() < 0.3
        torch.testing.assert_close(z.norm(dim=1), torch.ones(len(z)))


def test_an_image_is_no_neighbour_of_itself(unit):
    near = neighbours([unit(20, 6).float(), unit(15, 6).float()])
    assert [[tuple(index.shape) for index in row] for row in near] == [[(20, 5)] * 2, [(15, 5)] * 2]
    for d in range(2):
        assert not (near[d][d] == torch.arange(len(near[d][d]))[:, None]).any()


def test_maps_bring_neighbours_together_and_repeat_themselves(unit, monkeypatch):
    """Half of the axes say nothing: a map that is told who belongs together turns away from them."""
    monkeypatch.setattr(frozen_views, "STEPS", 150)
    monkeypatch.setattr(frozen_views, "BATCH", 32)
    centres = unit(4, 4).repeat(10, 1)
    domains = [F.normalize(torch.cat([centres, 3 * unit(40, 4)], dim=1), dim=1).float() for _ in range(2)]
    others = torch.arange(40).view(10, 4).T.repeat(10, 1)  # rows of the same centre
    near = [[others, others], [others, others]]
    maps = fit_maps([domains], near, seed=0)
    same = torch.arange(40)[:, None] % 4 == torch.arange(40) % 4

    def margin(first, second):
        cosine = first @ second.T
        return float(cosine[same].mean() - cosine[~same].mean())

    assert margin(*maps) > 2 * margin(*domains)
    again = fit_maps([domains], near, seed=0)
    assert all(torch.equal(a, b) for a, b in zip(maps, again, strict=True))


def test_the_same_word_is_the_same_vector_in_both_domains(pair, backbone):
    """With one word all images receive it, whatever their domain, at the weight that it is joined with."""
    colour = view_of(backbone, pair, lambda x: x)
    first, second = counterparts(backbone, pair, colour, ("ant", "bee"))
    torch.testing.assert_close(first.norm(dim=1), torch.full((len(first),), 0.5))
    assert first.shape == colour[0].shape and second.shape == colour[1].shape


def test_every_trial_is_measured_as_embedded_and_re_ranked(pair, backbone):
    found = measured(pair, view_of(backbone, pair, lambda x: x))
    assert list(found) == [m + s for s in ("", ", re-ranked") for m in ("P@1", "P@5", "mAP")]
    text = page({"line ↔ flat": pd.DataFrame({"colour": found}).T})
    assert "## line ↔ flat" in text and "| colour |" in text and "an oracle" in text
