"""Zero-shot rows: what is divided, what no training may see, and the scores against direct calls."""

import dataclasses

import pytest
import torch

from tpsnet import zero_shot
from tpsnet.backbone import load_backbone
from tpsnet.data import zero_shot_split
from tpsnet.evaluation import evaluate_zero_shot, load_saved
from tpsnet.methods import Frozen
from tpsnet.pair import embeddings, load_pair
from tpsnet.types import Images, InputError
from tpsnet.zero_shot import ZeroShotPair, run_zero_shot

ROWS = ["frozen CLIP", "frozen CLIP, centred", "TPSNet", "UEM", "CLAIR"]
BEE = 1  # the unseen class, of three


@pytest.fixture
def backbone(small_clip):
    return load_backbone(small_clip)


@pytest.fixture
def divided(root, backbone):
    """Three classes of five pictures in either domain; ``bee`` is unseen."""
    pair = load_pair(root, ("flat", "line"), backbone.image_size)
    return ZeroShotPair.divide(pair, zero_shot_split(*pair.domains, ["bee"]))


def test_no_picture_is_on_both_sides(divided):
    for d in range(2):
        seen, unseen, whole = (set(p.domains[d].paths) for p in (divided.seen, divided.unseen, divided.whole))
        assert (len(seen), len(unseen)) == (10, 5) and not seen & unseen and whole == seen | unseen
        assert {p.parent.name for p in unseen} == {"bee"}
        assert len(divided.seen.images[d]) == 10


@pytest.mark.parametrize("name", ROWS)
def test_unseen_pictures_reach_no_training(name, divided, backbone, short, monkeypatch, rng):
    """With other unseen pictures, everywhere they stand, the seen ones get the same vectors, bit by bit."""
    vectors = []

    def keep(method, pair):
        vectors.append([method.embed(images) for images in divided.seen.images])
        return embeddings(method, pair)

    monkeypatch.setattr(zero_shot, "embeddings", keep)
    noisy = [
        Images(i.name, torch.randint(0, 256, i.pixels.shape, generator=rng).byte())
        for i in divided.unseen.images
    ]
    unseen = dataclasses.replace(divided.unseen, images=tuple(noisy))
    whole = dataclasses.replace(
        divided.whole,
        images=tuple(
            Images(
                i.name,
                torch.where((d.labels == BEE)[:, None, None, None], n.pixels.repeat(3, 1, 1, 1), i.pixels),
            )
            for i, d, n in zip(divided.whole.images, divided.whole.domains, noisy, strict=True)
        ),
    )
    other = ZeroShotPair(divided.seen, unseen, whole)
    for pair in (divided, other):
        run_zero_shot(name, backbone, pair, seed=1, ks=(2,))
    assert len(vectors) == 2 and all(torch.equal(a, b) for a, b in zip(*vectors, strict=True))


def test_a_row_holds_both_directions_of_both_galleries(divided, backbone):
    row = run_zero_shot("frozen CLIP", backbone, divided, 0, mode="strict", ks=(2, 5))
    found = [(d["kind"], d["query"], d["gallery"], d["card"]["n_gallery"]) for d in row["directions"]]
    assert found == [
        ("unseen", "flat", "line", 5),
        ("unseen", "line", "flat", 5),
        ("generalised", "flat", "line", 15),
        ("generalised", "line", "flat", 15),
    ]
    method = Frozen(backbone)
    query, gallery = embeddings(method, divided.unseen)[1], embeddings(method, divided.whole)[0]
    expected = evaluate_zero_shot(query, gallery, (2, 5), "strict")
    there = row["directions"][3]
    assert (there["mAP@all"], there["mAP@5"]) == (expected.mean_ap, expected.mean_ap_at[5])
    assert there["Prec@2"] == expected.precision[2] and "strict" in there["card"]["mean_ap"]
    assert "generalised" in there["card"]["label_spaces"] and there["card"]["seeds"] == ()


@pytest.mark.parametrize("name", ["CLAIR", "frozen CLIP"])
def test_a_depth_beyond_the_gallery_costs_no_training(name, divided, backbone, monkeypatch):
    monkeypatch.setattr(zero_shot, "fit", lambda *_: pytest.fail("it trained"))
    with pytest.raises(InputError, match="k = 6 with 5 pictures of unseen classes"):
        run_zero_shot(name, backbone, divided, 0, ks=(2, 6))


def test_embeddings_of_unseen_classes_are_kept(divided, backbone, tmp_path):
    run_zero_shot("frozen CLIP", backbone, divided, 0, kept=tmp_path, ks=(2,))
    expected = embeddings(Frozen(backbone), divided.unseen)
    for saved, part in zip(load_saved(tmp_path)["zero-shot"]["frozen CLIP"], expected, strict=True):
        assert torch.equal(saved.vectors, part.vectors) and saved.paths == part.paths


def test_the_centred_floor_is_centred_by_seen_pictures(divided, backbone):
    row = run_zero_shot("frozen CLIP, centred", backbone, divided, 0, ks=(2,))
    method = Frozen(backbone, divided.seen.images)
    expected = evaluate_zero_shot(*embeddings(method, divided.unseen), (2,))
    assert row["directions"][0]["mAP@all"] == expected.mean_ap
