"""Maps of frozen views, by the example of TPSNet: what an embedding is made of, what switches leave out."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from pictures import CLASSES, patterned

from tpsnet.backbone import VIEWS, embed_all, views
from tpsnet.methods import Frozen, FrozenConfig, Method, TPSNet, TPSNetConfig
from tpsnet.targets import side_by_side
from tpsnet.types import Images

pytestmark = pytest.mark.usefixtures("exact")
CONFIG = TPSNetConfig(clusters=CLASSES)


def prepared(backbone, pair, **changes) -> TPSNet:
    method = TPSNet(backbone, dataclasses.replace(CONFIG, **changes))
    method.prepare(pair)
    return method.eval()


def moved(method: TPSNet) -> TPSNet:
    """With maps that are chance."""
    rng = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for w in method.maps:
            w.copy_(0.3 * torch.randn(w.shape, generator=rng))
    return method


def seen(backbone, images: Images, view: str) -> torch.Tensor:
    """Frozen vectors of a view, averaged with those of the mirror images."""
    flipped = Images(images.name, images.pixels.flip(-1))
    return F.normalize(
        sum(embed_all(lambda x: backbone.encode_image(VIEWS[view](x)), i) for i in (images, flipped)), dim=1
    )


def test_an_embedding_is_every_view_centred_mapped_and_weighed(backbone, pair):
    method = moved(prepared(backbone, pair))
    for images in pair:
        parts = []
        for view, w in zip(VIEWS, method.maps, strict=True):
            z = seen(backbone, images, view)
            z = F.normalize(z - z.mean(dim=0), dim=1)
            parts.append(F.normalize(z + z @ w.detach(), dim=1))
        expected = side_by_side(parts, method.weights)
        torch.testing.assert_close(method.embed(images), expected, atol=1e-4, rtol=0)
    assert method.weights.unique().numel() == 3 and float(method.weights.sum()) == pytest.approx(1)


def test_new_images_are_centred_by_the_means_of_training(backbone, pair, rng, nothing_kept):
    method = moved(prepared(backbone, pair))
    new = patterned("holiday", rng, n=5)[0]
    found = method.embed(new, "shaded")
    alone = torch.cat([method.embed(new.subset([i]), "shaded") for i in range(5)])
    torch.testing.assert_close(found, alone, atol=1e-5, rtol=0)
    views._kept.clear()
    again = Images("shaded", pair[1].pixels.clone())  # not the same object: encoded anew
    torch.testing.assert_close(method.embed(again), method.embed(pair[1]), atol=1e-5, rtol=0)


def test_training_images_are_not_encoded_again(backbone, pair, nothing_kept, monkeypatch):
    """Also where the data are too large to be kept."""
    method = moved(prepared(backbone, pair))
    views._kept.clear()
    expected = method.embed(Images("line", pair[0].pixels.clone()))
    monkeypatch.setattr("tpsnet.methods.views.view_vectors", lambda *_: pytest.fail("encoded"))
    torch.testing.assert_close(method.embed(pair[0]), expected, atol=1e-5, rtol=0)


def test_without_other_views_it_starts_as_the_centred_baseline_with_flips(backbone, pair):
    method = prepared(backbone, pair, phase_prior=False, figure_view=False)
    baseline = Frozen(backbone, FrozenConfig(centred=True, flipped=True))
    baseline.prepare(pair)
    for images in pair:
        torch.testing.assert_close(method.embed(images), baseline.embed(images), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("switch", "view"), [("phase_prior", "phase drawing"), ("figure_view", "figure and ground")]
)
def test_a_switch_leaves_out_its_view(backbone, pair, switch, view):
    method = prepared(backbone, pair, **{switch: False})
    assert method.cfg.views == [name for name in VIEWS if name != view]
    assert method.embed(pair[0]).shape == (24, 2 * backbone.dim)
    assert method.weights.tolist() == [0.5, 0.5]  # two views cannot judge one another


def test_a_text_asks_every_view_by_its_own_map(backbone, pair):
    method = moved(prepared(backbone, pair))
    rows = Method.embed_texts(method, ["bee", "moon"], "line")
    parts = [F.normalize(rows + rows @ w.detach(), dim=1) for w in method.maps]
    torch.testing.assert_close(
        method.embed_texts(["bee", "moon"], "line"), side_by_side(parts, method.weights)
    )
