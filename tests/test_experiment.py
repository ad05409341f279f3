"""A pair, a row, a run folder: what reaches scores and what reaches training."""

import json

import pytest
import torch
from pictures import write_tree

from tpsnet import experiment
from tpsnet.backbone import load_backbone
from tpsnet.evaluation import evaluate, load_saved
from tpsnet.experiment import run_row, train_pair, with_verdicts
from tpsnet.methods import UEM, Frozen
from tpsnet.pair import Pair, embeddings, load_pair
from tpsnet.recipes import RECIPES
from tpsnet.targets import reject_distant, reject_unmerged
from tpsnet.types import Embeddings, InputError

CLASSES = ("ant", "bee", "cat")


@pytest.mark.parametrize("setting", [None, "open"])
@pytest.mark.parametrize("name", ["TPSNet", "UEM", "CLAIR"])
def test_poisoned_labels_change_no_bit(name, setting, root, short, monkeypatch, small_clip):
    """With every label shuffled after the label spaces are drawn, the trained vectors stay bit for bit."""
    backbone = load_backbone(small_clip)
    seen = []
    monkeypatch.setattr(
        experiment, "directions", lambda both, *_, **__: seen.append([part.vectors for part in both])
    )
    pair = load_pair(root, ("flat", "line"), backbone.image_size)
    chosen = pair if setting is None else pair.restrict(setting, 0)
    monkeypatch.setattr(Pair, "restrict", lambda self, *_: self)
    run_row(name, backbone, chosen, 0, setting)
    for domain in chosen.domains:
        domain.labels.copy_(domain.labels.flip(0))
    run_row(name, backbone, chosen, 0, setting)
    assert all(torch.equal(a, b) for a, b in zip(*seen, strict=True))


def test_a_restricted_pair_holds_the_same_pictures_twice(root, small_clip):
    whole = load_pair(root, ("flat", "line"), 32)
    pair = whole.restrict("open", seed=1)
    assert (len(pair.domains[0]), len(pair.domains[1]), pair.n_classes) == (15, 5, 3)
    for domain, images, before in zip(pair.domains, pair.images, range(2), strict=True):
        assert len(domain) == len(images)
        for path, pixels in zip(domain.paths, images.pixels, strict=True):
            at = whole.domains[before].paths.index(path)
            assert torch.equal(pixels, whole.images[before].pixels[at])


def test_a_pair_of_the_first_classes(root):
    pair = load_pair(root, ("flat", "line"), 32, classes=2)
    assert pair.n_classes == 2 and [len(i) for i in pair.images] == [10, 10]
    assert {p.parent.name for d in pair.domains for p in d.paths} == {"ant", "bee"}


def test_a_row_keeps_its_embeddings(root, small_clip, short, tmp_path):
    """A pair as it is stands under the closed setting; verdicts are kept under a universal one."""
    backbone = load_backbone(small_clip)
    pair = load_pair(root, ("flat", "line"), backbone.image_size)
    for setting in (None, "open"):
        run_row("frozen CLIP", backbone, pair, 0, setting, kept=tmp_path)
    saved = load_saved(tmp_path)
    closed, opened = saved["closed"]["frozen CLIP"], saved["open"]["frozen CLIP"]
    assert torch.equal(closed[1].vectors, embeddings(Frozen(backbone), pair)[1].vectors)
    assert closed[0].rejected is None and opened[0].rejected is not None


def test_each_method_is_judged_by_its_own_rule(root, small_clip):
    backbone = load_backbone(small_clip)
    pair = load_pair(root, ("flat", "line"), backbone.image_size).restrict("open", seed=0)
    frozen, uem = Frozen(backbone), RECIPES["UEM"](backbone, pair, 0)
    for method in (frozen, uem):
        query, gallery = embeddings(method, pair)
        if isinstance(method, UEM):
            expected = reject_unmerged(query.vectors, gallery.vectors, method.n_clusters, seed=0)
        else:
            expected = reject_distant(query.vectors, gallery.vectors, 3, seed=0)
        assert torch.equal(with_verdicts(method, query, gallery, 0).rejected, expected.rejected)


def test_a_verdict_merges_as_the_method_does(root, small_clip, monkeypatch):
    """But for a UEM that merges nothing, which would reject every query."""
    backbone = load_backbone(small_clip)
    pair = load_pair(root, ("flat", "line"), backbone.image_size)
    asked, rule = [], experiment.reject_unmerged
    monkeypatch.setattr(
        experiment,
        "reject_unmerged",
        lambda *a, merge, **k: asked.append(merge) or rule(*a, merge=merge, **k),
    )
    for name in ("UEM", "UEM, merging by eq. 9", "UEM, no merging"):
        method = RECIPES[name](backbone, pair, 0)
        with_verdicts(method, *embeddings(method, pair), 0)
    assert asked == ["local", "global", "local"]


def test_a_run_folder_holds_embeddings_and_scores(root, short, tmp_path, small_clip):
    run = tmp_path / "run"
    rows = train_pair(root, ("flat", "line"), run, model=small_clip, name="UEM", setting="open", seed=1)
    assert json.loads((run / "scores.json").read_text()) == json.loads(json.dumps(rows))
    assert [row["row"] for row in rows] == ["frozen CLIP", "frozen CLIP, centred", "UEM"]
    for folder in ("before", "after"):
        query, gallery = (Embeddings.load(run / folder / f"{d}.safetensors") for d in ("flat", "line"))
        assert query.rejected is not None and gallery.rejected is None
        assert (len(query), len(gallery)) == (15, 5)
    again = evaluate(query, gallery, ks=(1, 5))
    assert rows[-1]["directions"][0]["mAP@All"] == again.mean_ap
    assert rows[-1]["directions"][0]["shared_accuracy"] == again.detection.shared_accuracy


def test_a_gallery_too_small_to_score_costs_no_training(root, tmp_path, small_clip):
    """Fifteen pictures a domain are enough for P@15, twelve are not."""
    few = write_tree(tmp_path / "few", {"flat": CLASSES, "line": CLASSES}, each=4)
    with pytest.raises(InputError, match="k = 15 with a gallery of 12"):
        experiment.train_pair(few, ("flat", "line"), tmp_path / "run", model=small_clip)
    assert not (tmp_path / "run").exists()


def test_bad_pairs_are_one_line(root, tmp_path):
    with pytest.raises(InputError, match="lines"):
        load_pair(root, ("flat", "lines"), 32)
    strangers = write_tree(tmp_path / "strangers", {"a": ("ant",), "b": ("bee",)})
    with pytest.raises(InputError, match="class"):
        load_pair(strangers, ("a", "b"), 32)


def test_true_labels_are_rows_of_the_names(root, small_clip):
    """Also where the pair lacks classes of the table."""
    backbone = load_backbone(small_clip)
    whole = load_pair(root, ("flat", "line"), backbone.image_size)
    pair = whole.subset(tuple((d.labels != 1).nonzero()[:, 0].tolist() for d in whole.domains))
    method = RECIPES["CLAIR, true labels"](backbone, pair, 0)
    assert method.cfg.names == ("ant", "cat")
    for found, domain in zip(method.pseudo, pair.domains, strict=True):
        names = [method.cfg.names[label] for label in found.labels]
        assert names == [path.parent.name for path in domain.paths]
