"""UEM: its schedule, its bookkeeping, what its switches take away, and small or odd domains."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from pictures import CLASSES

from tpsnet.backbone import embed_all
from tpsnet.engine import FitConfig, fit
from tpsnet.methods import UEM, UEMConfig
from tpsnet.methods.uem import alpha
from tpsnet.targets import elbow, grid, translate
from tpsnet.types import InputError

CONFIG = UEMConfig(clusters=CLASSES, idse_epochs=3, cdsm_epochs=2, batch_size=16)


def test_alpha_is_nearly_a_step_at_half_time():
    """The values that the equation has at E/2 − 10, E/2 − 5, E/2, E/2 + 5."""
    found = [alpha(e, 100) for e in (40, 45, 50, 55)]
    assert found == pytest.approx([4.54e-5, 6.69e-3, 0.5, 0.9933], rel=1e-3)


def test_prototypes_that_do_not_count_are_left_alone(backbone, pair, monkeypatch):
    """Clustering is saved, the embeddings stay; left alone where they count, prototypes are missed."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)  # no bfloat16, whose rounding would hide it
    vectors, calls = [], []
    original = UEM._renew_prototypes
    monkeypatch.setattr(UEM, "_renew_prototypes", lambda self: calls.append(0) or original(self))
    for floor in (0.0, CONFIG.alpha_floor, 0.9):
        method = UEM(backbone, *pair, replace(CONFIG, idse_epochs=30, cdsm_epochs=0, alpha_floor=floor))
        fit(method, pair)
        vectors.append(method.embed(pair[0]))
        calls.append(1)
    assert "".join(map(str, calls)) == "0" * 30 + "1" + "0" * 24 + "1" + "0" * 12 + "1"
    turned, missed = (float((1 - (vectors[0] * other).sum(dim=1)).max()) for other in vectors[1:])
    assert turned < 1e-6 and missed > 1e-4


def test_the_log_shows_the_schedule(backbone, pair):
    rows = fit(UEM(backbone, *pair, CONFIG), pair)
    assert [row["stage"] for row in rows] == ["idse"] * 3 + ["cdsm"] * 2
    assert [row["alpha"] for row in rows[:3]] == [alpha(e, 3) for e in range(3)]
    assert all(row["pnce"] > 0 and row["sel"] > 0 for row in rows[:3])
    assert all(row["dal"] > 0 and row["sn2m"] > 0 for row in rows[3:])
    assert rows[-1]["spr"] > 0  # the embeddings have left stage 1 behind


@pytest.mark.parametrize("stage", ["idse", "cdsm"])
def test_memories_move_in_either_stage(backbone, pair, stage):
    epochs = {f"{name}_epochs": int(name == stage) for name in ("idse", "cdsm")}
    method = UEM(backbone, *pair, replace(CONFIG, **epochs))
    before = [method.memory0.clone(), method.memory1.clone()]
    fit(method, pair)
    assert all((method._memory(d) != before[d]).any(dim=1).all() for d in range(2))


def test_before_training_the_mean_of_both_domains_is_taken_off_and_the_gap_stays(backbone, pair):
    method = UEM(backbone, *pair, CONFIG)
    vectors = [embed_all(backbone.encode_image, images) for images in pair]
    # 24 and 20 pictures, but either domain counts alike
    offset = (vectors[0].mean(dim=0) + vectors[1].mean(dim=0)) / 2
    for images, plain in zip(pair, vectors, strict=True):
        torch.testing.assert_close(method.embed(images), F.normalize(plain - offset, dim=1))
    fit(method, pair)
    torch.testing.assert_close(method.offset, offset)


def test_memories_start_as_embeddings_and_move_by_their_share(backbone, pair):
    method = UEM(backbone, *pair, CONFIG)
    assert torch.equal(method.memory1, embed_all(method, pair[1]))
    torch.testing.assert_close(method.memory1, method.embed(pair[1]))
    before = method.memory1.clone()
    z = F.normalize(torch.randn(2, before.shape[1]), dim=1)
    method._seen = [(1, torch.tensor([3, 5]), z)]
    method._remember()
    moved = F.normalize(0.99 * before[[3, 5]] + 0.01 * z, dim=1)
    torch.testing.assert_close(method.memory1[[3, 5]], moved)
    rest = [i for i in range(20) if i not in (3, 5)]
    assert torch.equal(method.memory1[rest], before[rest])


def test_the_untrained_vector_is_added_by_its_weight(backbone, pair):
    weighed, untrained = {}, UEM(backbone, *pair, CONFIG).embed(pair[1])
    for weight in (0.0, 0.5, 1.0):
        method = UEM(backbone, *pair, replace(CONFIG, start_weight=weight))
        fit(method, pair)
        weighed[weight] = method.embed(pair[1])
    assert (weighed[0.0] * untrained).sum(dim=1).min() < 0.999
    for weight in (0.5, 1.0):
        expected = F.normalize(weighed[0.0] + weight * untrained, dim=1)
        torch.testing.assert_close(weighed[weight], expected, atol=1e-5, rtol=1e-4)


def test_every_cluster_has_its_row_in_both_sets(backbone, pair):
    method = UEM(backbone, *pair, CONFIG)
    method._renew_prototypes()
    memories = (method.memory0, method.memory1)
    for d in range(2):
        unified, there = method.unified[d], 1 - d
        moved = translate(method._clusters(there), memories[there], memories[d])
        partner = {row: c for c, row in enumerate(unified.other.tolist())}
        for c, centre in enumerate(method._clusters(d)):
            mine = (centre + moved[partner[c]]) / 2 if unified.merged[c] else centre
            torch.testing.assert_close(unified.prototypes[c], mine)
        for c, row in enumerate(unified.other.tolist()):
            if not unified.merged[row]:
                torch.testing.assert_close(unified.prototypes[row], moved[c])
        nearest = torch.cdist(memories[d], method._clusters(d)).argmin(dim=1)
        assert torch.equal(method._labels[d], nearest)


def test_the_frozen_copies_are_the_start_and_stage_one_and_never_in_training_mode(backbone, pair):
    method = UEM(backbone, *pair, CONFIG)
    fit(method, pair)
    stage_one = UEM(backbone, *pair, replace(CONFIG, cdsm_epochs=0))
    fit(stage_one, pair)
    expected = stage_one.backbone.tower.state_dict()
    assert all(torch.equal(v, expected[k]) for k, v in method.frozen.state_dict().items())
    assert all(torch.equal(v, backbone.tower.state_dict()[k]) for k, v in method.start.state_dict().items())
    assert not method.train().frozen.training and not method.start.training


@pytest.mark.parametrize("switch", ["merge", "sel", "spda", "sn2m"])
def test_each_switch_takes_away_its_part_only(backbone, pair, switch):
    off = {switch: "none" if switch == "merge" else False}
    whole, less = (fit(UEM(backbone, *pair, replace(CONFIG, **changes)), pair) for changes in ({}, off))
    if switch == "merge":
        assert any(row["merged"] for row in whole) and not any(row["merged"] for row in less)
    elif switch == "sel":
        assert all(row["sel"] == 0 for row in less[:3]) and all(row["ince"] > 0 for row in less[:3])
    else:
        drop = {"seconds"}
        for one, other in zip(whole[:3], less[:3], strict=True):  # stage 1 is untouched
            assert {k: v for k, v in one.items() if k not in drop} == {
                k: v for k, v in other.items() if k not in drop
            }
        if switch == "spda":
            assert all(row["spr"] == 0 and row["dal"] > 0 for row in less[3:])
        else:
            assert all(a["sn2m"] != b["sn2m"] for a, b in zip(whole[3:], less[3:], strict=True))


def test_the_elbow_counts_clusters_where_nobody_says(backbone, pair):
    method = UEM(backbone, *pair, replace(CONFIG, clusters=None))
    memories = method.memory0, method.memory1
    assert method.n_clusters == tuple(elbow(m, grid(len(m)), seed=0).k for m in memories)
    fit(method, pair)


def test_one_cluster_and_one_picture_are_enough(backbone, pair):
    one = replace(pair[0], pixels=pair[0].pixels[:1])
    for domains, clusters in (((one, pair[1]), None), (pair, 1)):
        method = UEM(backbone, *domains, replace(CONFIG, clusters=clusters))
        rows = fit(method, domains, FitConfig(seed=1))
        assert all(torch.isfinite(torch.tensor(row["loss"])) for row in rows)
        assert method.embed(domains[0]).isfinite().all()


def test_more_clusters_than_pictures_is_one_line(backbone, pair):
    with pytest.raises(InputError, match=r"'shaded' has 20 pictures for 21 clusters"):
        UEM(backbone, *pair, replace(CONFIG, clusters=21))


def test_a_resnet_of_moco_is_trained_like_a_clip(tmp_path, pair):
    """A narrow stand-in with MoCo's interface: the loader itself is tested on a full file."""
    from torch import nn

    from tpsnet.backbone import MoCo

    tower = nn.Sequential()
    tower.features = nn.Sequential(nn.Conv2d(3, 8, 3, 4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    tower.fc = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 6))
    backbone = MoCo(tower)
    method = UEM(backbone, *pair, CONFIG)
    before = method.embed(pair[0])
    fit(method, pair)
    assert method.embed(pair[0]).shape == (24, 6) and not torch.equal(method.embed(pair[0]), before)
