"""The trials on frozen vectors: what is joined, whose neighbours count, what a map learns."""

import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from tools.studies import frozen_views
from tools.studies.frozen_views import counterparts, fit_maps, joined, measured, page, reliabilities, view_of
from tpsnet.backbone import load_backbone
from tpsnet.data import load_pair


@pytest.fixture
def backbone(small_clip):
    return load_backbone(small_clip)


@pytest.fixture
def pair(root, backbone):
    return load_pair(root, ("flat", "line"), backbone.resize)


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


def test_weights_count_the_views(unit):
    views = [[unit(20, 4).float(), unit(15, 4).float()] for _ in range(3)]
    weights = reliabilities(views)
    assert float(weights.sum()) == pytest.approx(1) and float(weights.min()) > 0
    first, second = joined(views, weights)
    expected = sum(w * a @ b.T for w, (a, b) in zip(weights, views, strict=True))
    torch.testing.assert_close(first @ second.T, expected)


def test_maps_bring_together_what_is_alike_and_repeat_themselves(unit, monkeypatch):
    """Half of the axes are noise."""
    monkeypatch.setattr(frozen_views, "STEPS", 150)
    monkeypatch.setattr(frozen_views, "BATCH", 32)
    centres = unit(4, 4).repeat(10, 1)
    domains = [F.normalize(torch.cat([centres, unit(40, 4)], dim=1), dim=1).float() for _ in range(2)]
    same = torch.arange(40)[:, None] % 4 == torch.arange(40) % 4

    def margin(first, second):
        cosine = first @ second.T
        return float(cosine[same].mean() - cosine[~same].mean())

    maps = fit_maps([domains])
    assert margin(*maps) > 1.1 * margin(*domains)
    assert all(torch.equal(a, b) for a, b in zip(maps, fit_maps([domains]), strict=True))
    for changes in ({"left_out": False}, {"positives": 2}, {"share": 0.5}):
        assert not torch.equal(fit_maps([domains], **changes)[0], maps[0])


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
