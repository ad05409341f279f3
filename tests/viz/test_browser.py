import base64
import io
from dataclasses import replace

import pytest
import torch
from PIL import Image
from viz.reference_ranking import slow_ranking

from tpsnet.errors import InputError
from tpsnet.viz import browser as browser_module
from tpsnet.viz.browser import RetrievalBrowser


@pytest.fixture
def pairs(domain, noisier):
    query, gallery = domain("line", 22), domain("flat", 18)
    return {"good": (query, gallery), "poor": (noisier(query), noisier(gallery))}


@pytest.fixture
def browser(pairs):
    return RetrievalBrowser(pairs, k=6, page=8, sample=3)


def answer(browser, monkeypatch, message):
    """What the page receives for a message, sent through the widget's own handler."""
    sent = []
    monkeypatch.setattr(
        type(browser), "send", lambda self, content, buffers=None: sent.append((content, buffers))
    )
    browser._handle_custom_msg(message, [])
    (only,) = sent
    return only


@pytest.mark.parametrize("model", ["good", "poor"])
@pytest.mark.parametrize("query", [0, 13, 21])
def test_a_click_gets_the_ranking_of_brute_force(browser, pairs, monkeypatch, model, query):
    content, images = answer(browser, monkeypatch, {"kind": "select", "model": model, "query": query})
    ours, gallery = pairs[model]
    expected = slow_ranking(ours, query, gallery, 6)
    assert [row["item"] for row in content["rows"]] == [i for i, _, _ in expected]
    assert [row["right"] for row in content["rows"]] == [right for _, _, right in expected]
    assert [row["score"] for row in content["rows"]] == pytest.approx([s for _, s, _ in expected], abs=6e-4)
    assert [row["class"] for row in content["rows"]] == [gallery.paths[i].parent.name for i, _, _ in expected]
    assert content["class"] == ours.paths[query].parent.name
    assert content["relevant"] == int((gallery.labels == ours.labels[query]).sum())
    shown = [Image.open(io.BytesIO(p)).convert("RGB").getpixel((20, 15)) for p in images]
    files = [ours.paths[query], *(gallery.paths[i] for i, _, _ in expected)]
    for pixel, file in zip(shown, files, strict=True):
        wanted = Image.open(file).convert("RGB").getpixel((20, 15))
        assert max(abs(a - b) for a, b in zip(pixel, wanted, strict=True)) < 12  # lossy


def test_pages_show_every_query_once(browser, monkeypatch):
    seen = []
    for page in range(3):
        message = {"kind": "queries", "model": "good", "order": "as stored", "page": page}
        content, images = answer(browser, monkeypatch, message)
        assert (content["page"], content["pages"], content["total"]) == (page, 3, 22)
        assert len(images) == len(content["rows"])
        seen += [row["query"] for row in content["rows"]]
    assert seen == list(range(22))


def test_the_mixed_order_deals_out_the_classes(browser):
    """Labels go 0 1 2 3 0 1 2 3 …: with the classes sorted, the deal has to interleave them again."""
    query, gallery = browser.pairs["good"]
    stored = query.subset(query.labels.argsort(stable=True).tolist())
    rows = RetrievalBrowser({"m": (stored, gallery)}, k=2, page=22).queries("m", "mixed", 0)[0]["rows"]
    assert [row["class"] for row in rows] == [query.paths[i].parent.name for i in range(22)]


def test_worst_queries_come_first_with_their_precision(browser, pairs):
    seen = [row for page in range(3) for row in browser.queries("poor", "worst first", page)[0]["rows"]]
    ours, gallery = pairs["poor"]
    slow = [100 * sum(r for *_, r in slow_ranking(ours, q, gallery, 6)) / 6 for q in range(22)]
    # The fixture's queries are stored class by class in turn, so that equals stay in the stored order.
    assert [row["query"] for row in seen] == sorted(range(22), key=lambda q: slow[q])
    assert [row["precision"] for row in seen] == pytest.approx(sorted(slow), abs=0.06)


def test_equally_bad_queries_come_class_by_class(browser):
    query, gallery = browser.pairs["good"]
    alike = replace(query, vectors=query.vectors[:1].expand(22, -1))  # right for one class only
    stored = alike.subset(query.labels.argsort(stable=True).tolist())
    rows = RetrievalBrowser({"m": (stored, gallery)}, k=1).queries("m", "worst first", 0)[0]["rows"]
    assert len({row["class"] for row in rows[:3]}) == 3


def test_queries_without_a_match_are_not_among_the_worst(pairs):
    query, gallery = pairs["good"]
    few = gallery.subset((gallery.labels != 1).nonzero()[:, 0].tolist())
    rows = RetrievalBrowser({"m": (query, few)}, k=3, page=22).queries("m", "worst first", 0)[0]["rows"]
    n = int((query.labels == 1).sum())
    assert [query.labels[row["query"]] == 1 for row in rows] == [False] * (22 - n) + [True] * n


def test_a_page_outside_is_the_nearest_one(browser):
    assert browser.queries("good", "as stored", 99)[0]["page"] == 2
    assert browser.queries("good", "as stored", -1)[0]["page"] == 0


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"kind": "select", "model": "good", "query": 22}, "no query 22"),
        ({"kind": "select", "model": "good", "query": -1}, "no query -1"),
        ({"kind": "select", "model": "best", "query": 0}, "no model 'best'"),
        ({"kind": "select", "query": 0}, "does not understand"),
        ({"kind": "queries", "model": "good", "order": "best first", "page": 0}, "no order"),
    ],
)
def test_messages_without_sense_get_their_reason_back(browser, monkeypatch, message, reason):
    content, images = answer(browser, monkeypatch, message)
    assert content["kind"] == "error"
    assert reason in content["text"]
    assert images == []


def test_the_saved_view_is_an_image_and_a_line_of_text(browser, pairs):
    data, _ = browser._repr_mimebundle_()
    sheet = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
    assert sheet.format == "PNG"
    assert sheet.width > 7 * 56  # the query and its six results
    assert "line → flat: 22 queries, 18 images" in data["text/plain"]
    assert "good" in data["text/plain"] and "poor" in data["text/plain"]
    assert "application/vnd.jupyter.widget-view+json" in data


@pytest.mark.parametrize("order", ["as stored", "worst first"])
def test_the_saved_view_marks_what_brute_force_calls_right(pairs, monkeypatch, order):
    drawn, real = [], browser_module.contact_sheet
    monkeypatch.setattr(
        browser_module, "contact_sheet", lambda rows, *a, **k: drawn.append((rows, a)) or real(rows, *a, **k)
    )
    RetrievalBrowser(pairs, k=6, sample=3, order=order).sheet()
    ((rows, (headings,)),) = drawn
    slow = [
        sum(right for *_, right in slow_ranking(pairs["good"][0], q, pairs["good"][1], 6)) for q in range(22)
    ]
    worst = sorted(range(22), key=lambda q: slow[q])[:3]
    spread = [0, 7, 14]  # of 22, a third apart
    wanted = [(q, model) for q in (worst if order == "worst first" else spread) for model in pairs]
    assert len(rows) == len(wanted)
    for row, heading, (q, model) in zip(rows, headings, wanted, strict=True):
        expected = slow_ranking(pairs[model][0], q, pairs[model][1], 6)
        assert [tile.right for tile in row] == [None, *(right for *_, right in expected)]
        assert [tile.image for tile in row[1:]] == [pairs[model][1].paths[i] for i, *_ in expected]
        assert heading == f"{model}: {sum(r for *_, r in expected)} of 6 right"


def test_a_rejected_query_has_no_match(pairs):
    query, gallery = pairs["good"]
    rejected = torch.arange(len(query)) % 3 == 0
    models = {"open": (replace(query, rejected=rejected), gallery), "closed": (query, gallery)}
    browser = RetrievalBrowser(models, k=4, page=22, sample=1, order="as stored")
    for model, expected in (("open", rejected.tolist()), ("closed", [False] * 22)):
        rows = browser.queries(model, "as stored", 0)[0]["rows"]
        assert [row["rejected"] for row in rows] == expected
        assert [browser.ranking(model, q)[0]["rejected"] for q in range(22)] == expected


def test_a_query_without_a_match_is_shown_like_any_other(pairs, monkeypatch):
    """No gallery image has its class: nothing is right, on the page as in the saved view."""
    query, gallery = pairs["good"]
    unmatched = replace(query, labels=torch.full_like(query.labels, len(query.class_names) - 1))
    shown = gallery.subset((gallery.labels != unmatched.labels[0]).nonzero()[:, 0].tolist())
    browser = RetrievalBrowser({"open": (unmatched, shown)}, k=4, sample=1)
    content, _ = answer(browser, monkeypatch, {"kind": "select", "model": "open", "query": 3})
    assert content["relevant"] == 0 and [row["right"] for row in content["rows"]] == [False] * 4
    assert browser.sheet().startswith(b"\x89PNG")


def test_the_state_stays_small(browser):
    state = browser.get_state()
    assert sum(len(str(value)) for value in state.values()) < 20_000
    assert len(browser._esm) < 15_000


def test_the_page_starts_with_the_chosen_order(pairs):
    orders = RetrievalBrowser(pairs, k=2, order="worst first").orders
    assert orders[0] == "worst first"
    assert sorted(orders) == ["as stored", "mixed", "worst first"]


def test_equal_scores_stand_in_the_gallery_s_order(domain):
    query, gallery = domain("line", 4), domain("flat", 12)
    same = torch.zeros(12, 8)
    same[:, 0] = 1
    gallery = replace(gallery, vectors=same)
    rows = RetrievalBrowser({"m": (query, gallery)}, k=12).ranking("m", 1)[0]["rows"]
    assert [row["item"] for row in rows] == list(range(12))


def test_bad_input_is_refused(pairs, domain):
    with pytest.raises(InputError, match="at least one model"):
        RetrievalBrowser({})
    with pytest.raises(InputError, match="k = 19 results from a gallery of 18"):
        RetrievalBrowser(pairs, k=19)
    with pytest.raises(InputError, match="no order 'best first'; choose one of mixed"):
        RetrievalBrowser(pairs, k=2, order="best first")
    query, gallery = pairs["good"]
    backwards = replace(gallery, paths=gallery.paths[::-1])
    with pytest.raises(InputError, match="different 'flat' images"):
        RetrievalBrowser(pairs | {"other": (query, backwards)}, k=2)
    gallery.paths[3].unlink()
    with pytest.raises(InputError, match="1 images of 'flat' are gone"):
        RetrievalBrowser(pairs, k=2)
