"""What a view draws, as a page receives it: pages of queries, rankings, the saved view."""

import io
import threading
import time
from dataclasses import replace

import pytest
import torch
from PIL import Image
from viz.messages import look, tell
from viz.reference_ranking import slow_ranking

from tpsnet.types import UNLABELLED
from tpsnet.viz import browser as browser_module
from tpsnet.viz import panels
from tpsnet.viz.browser import RetrievalBrowser
from tpsnet.viz.retrieval import Retrieval


@pytest.mark.parametrize("model", ["good", "poor"])
@pytest.mark.parametrize("query", [0, 13, 21])
def test_a_click_gets_the_ranking_of_brute_force(browser, pairs, sent, model, query):
    browser.go(model=model)
    content, images = tell(
        browser, sent, {"kind": "show", "domain": "line", "index": query, "gallery": "flat"}
    )["ranking"]
    ours, gallery = pairs[model]
    expected = slow_ranking(ours, query, gallery, 18)
    shown = content["lists"][0]
    assert [row["index"] for row in shown["rows"]] == [i for i, _, _ in expected[:6]]
    assert [row["right"] for row in shown["rows"]] == [right for _, _, right in expected[:6]]
    assert [row["score"] for row in shown["rows"]] == pytest.approx([s for _, s, _ in expected[:6]], abs=6e-5)
    assert [row["class"] for row in shown["rows"]] == [gallery.paths[i].parent.name for i, *_ in expected[:6]]
    assert content["query"]["path"] == str(ours.paths[query])
    assert shown["relevant"] == int((gallery.labels == ours.labels[query]).sum())
    seen = dict(zip(["query", *content["images"]], images, strict=True))
    files = {"query": ours.paths[query]} | {f"flat/{i}": gallery.paths[i] for i, *_ in expected[:6]}
    for key, file in files.items():
        pixel = Image.open(io.BytesIO(seen[key])).convert("RGB").getpixel((20, 15))
        wanted = Image.open(file).convert("RGB").getpixel((20, 15))
        assert max(abs(a - b) for a, b in zip(pixel, wanted, strict=True)) < 12  # lossy


def test_precision_is_hits_of_what_can_be_found(pairs, sent):
    """A query with all its 5 relevant images in front is perfect at every depth."""
    query, gallery = pairs["good"]
    perfect = (
        replace(query, vectors=torch.eye(8)[query.labels]),
        replace(gallery, vectors=torch.eye(8)[gallery.labels]),
    )
    content, _ = look(RetrievalBrowser({"m": perfect}, k=12), sent)["page"]
    for row in content["rows"]:
        n = row["relevant"]
        assert n in (4, 5) and row["ap"] == pytest.approx(100)
        assert row["hits"] == {1: (1, 1), 5: (n, n), 15: (n, n)}
        assert row["text"] == f"AP 100 %, {n} of {n} found"


def test_the_row_of_truth_has_every_relevant_image_with_its_rank(browser, pairs, sent):
    browser.show(3)
    (content, _), *_ = [message for message in sent if message[0]["kind"] == "ranking"]
    truth = next(found for found in content["lists"] if found["role"] == "truth")
    expected = slow_ranking(pairs["good"][0], 3, pairs["good"][1], 18)
    wanted = [(i, rank) for rank, (i, _, right) in enumerate(expected, 1) if right]
    assert [(row["index"], row["rank"]) for row in truth["rows"]] == wanted


def test_neighbours_of_the_own_domain_leave_the_query_out(browser, pairs, sent):
    browser.show(3)
    (content, _), *_ = [message for message in sent if message[0]["kind"] == "ranking"]
    own = next(found for found in content["lists"] if found["role"] == "own")
    slow = [i for i, *_ in slow_ranking(pairs["good"][0], 3, pairs["good"][0], 22) if i != 3]
    assert [(row["domain"], row["index"]) for row in own["rows"]] == [("line", i) for i in slow[:8]]


def test_two_models_stand_side_by_side_with_the_other_one_s_ranks(browser, pairs, sent):
    sent.clear()
    browser.go(against="poor")
    lists = sent[0][0]["lists"]
    assert [found["name"] for found in lists[:2]] == ["good", "poor"]
    query = browser.query["index"]
    order = {name: [i for i, *_ in slow_ranking(both[0], query, both[1], 18)] for name, both in pairs.items()}
    for found, other in zip(lists[:2], ("poor", "good"), strict=True):
        assert [row["was"] for row in found["rows"]] == [
            order[other].index(row["index"]) + 1 for row in found["rows"]
        ]


def test_pages_show_every_query_once(browser, sent):
    seen = []
    for page in range(3):
        browser.go(page=page)
        content, images = look(browser, sent)["page"]
        assert (content["page"], content["pages"], content["total"]) == (page, 3, 22)
        assert len(images) == len(content["rows"]) and all(images)
        seen += [row["index"] for row in content["rows"]]
    assert sorted(seen) == list(range(22))


def test_a_large_survey_is_made_aside(pairs, sent, monkeypatch):
    begin, real = threading.Event(), Retrieval.survey
    monkeypatch.setattr(Retrieval, "survey", lambda *a, **k: begin.wait(20) and real(*a, **k))
    monkeypatch.setattr(panels, "AT_ONCE", 0)
    browser = RetrievalBrowser(pairs, k=6, page_size=8)
    sample = look(browser, sent)["page"][0]["rows"]
    sent.clear()
    browser.go(order="worst first")
    assert [row["index"] for row in sent[0][0]["rows"]] == [row["index"] for row in sample]
    begin.set()
    for _ in range(200):
        pages = [content for content, _ in sent if content["kind"] == "page"]
        if len(pages) == 2:
            break
        time.sleep(0.05)
    worth = [row["ap"] for row in pages[1]["rows"]]
    assert worth == sorted(worth) and sum(worth) < sum(row["ap"] for row in sample)
    assert pages[1]["version"] > pages[0]["version"]
    assert any(content["kind"] == "working" for content, _ in sent)


def test_a_survey_that_fails_is_told(pairs, sent, monkeypatch):
    def broken(*args, **kwargs):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(panels, "AT_ONCE", 0)
    monkeypatch.setattr(Retrieval, "survey", broken)
    RetrievalBrowser(pairs, k=6).go(order="worst first")
    for _ in range(100):
        if any(content["kind"] == "error" for content, _ in sent):
            break
        time.sleep(0.05)
    assert "out of memory" in next(c["text"] for c, _ in sent if c["kind"] == "error")


@pytest.mark.parametrize("order", ["as stored", "worst first"])
def test_the_saved_view_marks_what_brute_force_calls_right(pairs, sent, order, monkeypatch):
    drawn, real = [], browser_module.contact_sheet
    monkeypatch.setattr(
        browser_module,
        "contact_sheet",
        lambda rows, heads, **k: drawn.extend([rows, heads]) or real(rows, heads),
    )
    browser = RetrievalBrowser(pairs, k=6, order=order, sample=3)
    queries = [row["index"] for row in look(browser, sent)["page"][0]["rows"]][:3]
    browser.sheet()
    rows, headings = drawn
    wanted = [(q, model) for q in queries for model in pairs]
    assert len(rows) == len(wanted)
    for row, heading, (q, model) in zip(rows, headings, wanted, strict=True):
        expected = slow_ranking(pairs[model][0], q, pairs[model][1], 18)
        assert [tile.right for tile in row] == [None, *(right for *_, right in expected[:6])]
        assert [tile.image for tile in row[1:]] == [pairs[model][1].paths[i] for i, *_ in expected[:6]]
        n = sum(right for *_, right in expected)
        assert heading.startswith(f"{model}: AP ")
        assert heading.endswith(f"{sum(r for *_, r in expected[:6])} of {min(6, n)} found")


def test_a_rejected_query_has_no_match(pairs, sent):
    query, gallery = pairs["good"]
    rejected = torch.arange(len(query)) % 3 == 0
    models = {"open": (replace(query, rejected=rejected), gallery), "closed": (query, gallery)}
    browser = RetrievalBrowser(models, k=4, page_size=22, order="as stored")
    for model, expected in (("open", rejected.tolist()), ("closed", [False] * 22)):
        browser.go(model=model, page=0)
        content, _ = look(browser, sent)["page"]
        assert [row["rejected"] for row in content["rows"]] == expected
        texts = [row["text"] for row in content["rows"]]
        assert [text.startswith("no match; else AP") for text in texts] == expected


def test_a_query_without_a_match_is_shown_like_any_other(pairs, sent):
    query, gallery = pairs["good"]
    few = gallery.subset((gallery.labels != 0).nonzero()[:, 0].tolist())
    browser = RetrievalBrowser({"open": (query, few)}, k=4, order="as stored")
    shown = look(browser, sent)["ranking"][0]
    assert shown["lists"][0]["text"] == "nothing to find"
    assert [row["right"] for row in shown["lists"][0]["rows"]] == [False] * 4
    assert browser.sheet().startswith(b"\x89PNG")


def test_images_without_labels_need_no_class_table(pairs, sent):
    own = [
        replace(part, labels=torch.zeros(len(part), dtype=torch.long), class_names=UNLABELLED)
        for part in pairs["good"]
    ]
    browser = RetrievalBrowser({"m": own}, k=4, page_size=5)
    assert browser.choices["classes"] == []
    content, _ = look(browser, sent)["page"]
    assert {(row["class"], row["ap"], row["text"]) for row in content["rows"]} == {("", None, "")}
    lists = look(browser, sent)["ranking"][0]["lists"]
    assert [found["role"] for found in lists] == ["model", "own"]
    assert {row["right"] for row in lists[0]["rows"]} == {None}
    assert browser.sheet().startswith(b"\x89PNG")


def test_a_labelled_domain_beside_an_unlabelled_one(pairs, sent):
    query, gallery = pairs["good"]
    own = replace(gallery, labels=torch.zeros(18, dtype=torch.long), class_names=UNLABELLED)
    browser = RetrievalBrowser({"m": (query, own)}, k=4, page_size=22)
    browser.go(category="boat")
    assert len(look(browser, sent)["page"][0]["rows"]) == 6
    browser.go(query_domain="flat", gallery_domain="line")
    assert look(browser, sent)["page"][0]["rows"] == []
    data, _ = browser._repr_mimebundle_()
    assert "image/png" not in data and "22 of line" in data["text/plain"]


def test_in_its_own_domain_nothing_is_rejected(pairs, sent):
    query, gallery = pairs["good"]
    rejected = torch.ones(22, dtype=torch.bool)
    browser = RetrievalBrowser({"m": (replace(query, rejected=rejected), gallery)}, k=4, page_size=22)
    browser.go(only="no match")
    assert len(look(browser, sent)["page"][0]["rows"]) == 22
    browser.go(gallery_domain="line")
    assert look(browser, sent)["page"][0]["rows"] == []
    browser.go(only="wrong")
    assert 0 < len(look(browser, sent)["page"][0]["rows"]) < 22


def test_an_image_that_is_gone_meanwhile_leaves_the_others(pairs, sent):
    browser = RetrievalBrowser(pairs, k=6, page_size=22)
    gone = pairs["good"][0].paths[3]
    gone.unlink()
    content, images = look(browser, sent)["page"]
    empty = [row["path"] for row, image in zip(content["rows"], images, strict=True) if not image]
    assert empty == [str(gone)]


def test_a_small_gallery_is_shown_whole(pairs, sent):
    content, _ = look(RetrievalBrowser(pairs, k=50), sent)["ranking"]
    assert len(content["lists"][0]["rows"]) == 18


def test_equal_scores_stand_in_the_gallery_s_order(domain, sent):
    query, gallery = domain("line", 4), domain("flat", 12)
    same = torch.zeros(12, 8)
    same[:, 0] = 1
    browser = RetrievalBrowser({"m": (query, replace(gallery, vectors=same))}, k=12)
    rows = look(browser, sent)["ranking"][0]["lists"][0]["rows"]
    assert [row["index"] for row in rows] == list(range(12))
