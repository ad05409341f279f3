"""Saved embeddings of several methods: what is written comes back, and what does not fit is named."""

import pytest
import torch

from tpsnet.errors import InputError
from tpsnet.evaluation import evaluate, is_saved, load_saved, method_of, rerank, save_both, score_saved


@pytest.fixture
def both(embeddings, circle):
    return embeddings("a", circle(0, 10), [0, 1]), embeddings("b", circle(5, 20, 30), [0, 1, 1])


def test_all_comes_back_in_order_with_the_baselines_in_front(both, tmp_path):
    names = ("UEM", "frozen CLIP", "frozen", "CLAIR")
    saved = (("holdout", "UEM"), ("zero-shot", "UEM"), ("partial", "TPSNet"), *(("open", n) for n in names))
    for protocol, method in saved:
        save_both(tmp_path, protocol, method, both)
    found = load_saved(tmp_path, ("random", "frozen CLIP"))
    assert [(p, m) for p, methods in found.items() for m in methods] == [
        ("partial", "TPSNet"),
        ("open", "frozen CLIP"),
        ("open", "CLAIR"),
        ("open", "UEM"),
        ("open", "frozen"),
        ("zero-shot", "UEM"),
        ("holdout", "UEM"),
    ]
    query, gallery = method_of(found, "open", "UEM")
    assert (query.domain, gallery.domain) == ("a", "b")
    assert torch.equal(gallery.vectors, both[1].vectors) and gallery.paths == both[1].paths


def test_what_does_not_fit_is_one_line(both, tmp_path):
    with pytest.raises(InputError, match="holds no PROTOCOL/METHOD"):
        load_saved(tmp_path)
    save_both(tmp_path, "open", "UEM", both)
    save_both(tmp_path, "closed", "UEM", (both[1], both[0]))  # another protocol may have other images
    assert len(load_saved(tmp_path)) == 2
    save_both(tmp_path, "open", "TPSNet", (both[0].subset([0]), both[1]))
    with pytest.raises(InputError, match="'TPSNet' and 'UEM' embed different images"):
        load_saved(tmp_path)
    (tmp_path / "open" / "TPSNet" / "gallery.safetensors").unlink()
    with pytest.raises(InputError, match=r"cannot read .*gallery\.safetensors"):
        load_saved(tmp_path)


def test_half_a_pair_is_not_taken_for_a_whole_one(both, tmp_path, monkeypatch):
    save_both(tmp_path, "open", "UEM", both)
    assert is_saved(tmp_path, "open", "UEM") and not is_saved(tmp_path, "open", "TPSNet")
    original = type(both[0]).save

    def full_disk(self, path):
        if path.name.startswith("gallery"):
            raise InputError("full")
        original(self, path)

    monkeypatch.setattr(type(both[0]), "save", full_disk)
    with pytest.raises(InputError, match="full"):
        save_both(tmp_path, "open", "UEM", both)
    assert not is_saved(tmp_path, "open", "UEM")
    with pytest.raises(InputError, match="gallery"):
        load_saved(tmp_path)


def test_a_file_that_cannot_be_replaced_is_one_line(both, tmp_path):
    (tmp_path / "open" / "UEM" / "gallery.safetensors").mkdir(parents=True)
    with pytest.raises(InputError, match="cannot replace"):
        save_both(tmp_path, "open", "UEM", both)


def test_scores_are_by_the_same_rules_and_leave_out_depths(both):
    scores = score_saved({"open": {"UEM": both}, "zero-shot": {"UEM": both}})
    assert list(scores) == ["open", "zero-shot"]
    for methods in scores.values():
        assert list(methods["UEM"].metrics()) == ["mAP", "P@1", "plain P@1"]


def test_scores_after_a_re_ranking_are_those_of_what_it_leaves(both):
    """Under a protocol of known queries over both sides, under zero-shot over the gallery."""
    scores = score_saved({"open": {"UEM": both}, "zero-shot": {"UEM": both}}, "diffusion")
    for protocol, known in (("open", True), ("zero-shot", False)):
        expected = evaluate(*rerank(both, "diffusion", known_queries=known), ks=(1,))
        assert scores[protocol]["UEM"].metrics() == expected.metrics()
    with pytest.raises(InputError, match="no re-ranking 'magic'; choose from expansion, diffusion"):
        score_saved({"open": {"UEM": both}}, "magic")


def test_a_method_that_was_not_saved_is_one_line(both, tmp_path):
    save_both(tmp_path, "open", "UEM", both)
    saved = load_saved(tmp_path)
    with pytest.raises(InputError, match="no protocol 'opened' among the saved embeddings; choose from open"):
        method_of(saved, "opened", "UEM")
    with pytest.raises(InputError, match="no method 'TPSNet' saved under 'open'; choose from UEM"):
        method_of(saved, "open", "TPSNet")
