"""The widget as Python and as the page see it: views, the way, own questions, the selection, messages."""

import base64
import csv
import io
from dataclasses import replace

import pytest
from hostile import COLOURS, NAMES
from PIL import Image
from viz.messages import look, tell

from tpsnet.errors import InputError
from tpsnet.escape import printable
from tpsnet.viz import panels
from tpsnet.viz.browser import RetrievalBrowser


def test_the_way_goes_back_and_forward_and_branches(browser):
    start = browser.query
    browser.show(5)
    browser.show(2, domain="flat", gallery="line")
    browser.go(at=1)
    assert browser.query["index"] == 5
    browser.go(at=0)
    assert browser.query == start
    browser.show(7)
    assert [entry["index"] for entry in browser.view["trail"]] == [start["index"], 7]
    for index in range(22):
        for _ in range(3):
            browser.show(index)
    assert len(browser.view["trail"]) == panels.TRAIL and browser.query["index"] == 21


def test_a_new_gallery_asks_the_shown_query_there(browser):
    browser.show(5)
    browser.go(gallery_domain="line")
    assert browser.query == {"domain": "line", "index": 5, "gallery": "line", "label": "boat"}


def test_asking_with_a_text_and_a_picture(browser, pairs, sent, tmp_path):
    content, images = tell(browser, sent, {"kind": "text", "text": " boat "})["ranking"]
    assert content["query"]["label"] == "“boat”" and content["lists"][0]["rows"][0]["index"] == 4
    assert images[0] == b"" and content["lists"][0]["rows"][0]["right"] is None
    file = io.BytesIO()
    Image.new("RGB", (50, 20), "red").save(file, "PNG")
    content, images = tell(browser, sent, {"kind": "own", "name": "mine.png"}, [file.getvalue()])["ranking"]
    assert Image.open(io.BytesIO(images[0])).size == (50, 20)
    assert content["query"]["label"] == "mine.png" and content["lists"][0]["rows"][0]["index"] == 4
    browser.ask(pairs["good"][0].paths[3])
    assert browser.query["label"] == "3.webp"


def test_a_model_without_an_embedder_says_so(browser, sent):
    browser.go(model="poor")
    before = browser.view
    content, _ = tell(browser, sent, {"kind": "text", "text": "boat"})["error"]
    assert "pass embedders" in content["text"] and browser.view == before
    browser.go(model="good")
    browser.ask("boat")
    sent.clear()
    browser.go(against="poor")
    assert "pass embedders" in sent[0][0]["lists"][1]["why"]


def test_what_is_no_picture_is_refused(browser, sent):
    content, _ = tell(browser, sent, {"kind": "own", "name": "notes.txt"}, [b"no picture"])["error"]
    assert content["text"].startswith("notes.txt is no image")


def test_the_selection_is_a_table(browser, pairs, sent):
    content, _ = tell(browser, sent, {"kind": "show", "domain": "line", "index": 3, "gallery": "flat"})[
        "ranking"
    ]
    row = content["lists"][0]["rows"][1]
    entry = {key: row[key] for key in ("domain", "index", "rank", "score", "right")}
    entry |= {"model": "good", "query": content["query"]}
    tell(browser, sent, {"kind": "go", "change": {"selected": [entry]}})
    (line,) = browser.selection.to_dict("records")
    assert line["path"] == str(pairs["good"][1].paths[row["index"]])
    assert line["query"] == str(pairs["good"][0].paths[3]) and line["query class"] == "drum"
    assert (line["model"], line["rank"], line["right"]) == ("good", 2, row["right"])
    text = tell(browser, sent, {"kind": "csv"})["csv"][0]["text"]
    assert text.splitlines()[0] == "path,domain,class,query,query class,model,rank,score,right"
    assert line["path"] in text


@pytest.mark.parametrize("name", [*NAMES, '=cmd|"/c calc"!A0', "cr\rlf"], ids=printable)
def test_a_name_in_the_csv_is_the_name_itself(pairs, sent, name):
    """It is data: images are found again by it. A spreadsheet has to be told that it is text."""
    classes = (name, *pairs["good"][0].class_names[1:])
    named = [replace(part, class_names=classes) for part in pairs["good"]]
    browser = RetrievalBrowser({name: named}, k=2)
    entry = {"domain": "line", "index": 0, "rank": 1, "score": 0.5, "right": True, "model": name}
    browser.go(selected=[entry | {"query": {"label": name, "text": name, "gallery": "flat"}}])
    content = tell(browser, sent, {"kind": "csv"})["csv"][0]["text"]
    (line,) = csv.DictReader(io.StringIO(content, newline=""))
    assert line["class"] == line["model"] == line["query"] == name
    assert line["path"] == str(named[0].paths[0])


def test_in_plain_text_a_browser_is_one_line(pairs):
    plain = RetrievalBrowser({COLOURS: pairs["good"]}, k=2)._repr_mimebundle_()[0]["text/plain"]
    assert plain == f"Retrieval browser: 22 of line, 18 of flat; models: {printable(COLOURS)}"


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"kind": "show", "domain": "line", "index": 22, "gallery": "flat"}, "images 0 to 21"),
        ({"kind": "show", "domain": "art", "index": 0, "gallery": "flat"}, "no domain 'art'"),
        ({"kind": "go", "change": {"model": "best"}}, "no model 'best'"),
        ({"kind": "go", "change": {"order": "best first"}}, "no order"),
        ({"kind": "go", "change": {"order": "gains first"}}, "compares two models"),
        ({"kind": "go", "change": {"category": "zebra"}}, "no class 'zebra'"),
        ({"kind": "go", "change": {"reranking": "magic"}}, "no re-ranking"),
        ({"kind": "go", "change": {"page": "one"}}, ""),
        ({"kind": "go", "change": {"panels": 1}}, "a view has no 'panels'"),
        ({"kind": "select", "query": 0}, "does not understand"),
        ({"kind": "view", "domain": "flat", "index": 18}, "images 0 to 17"),
    ],
)
def test_messages_without_sense_get_their_reason_back(browser, sent, message, reason):
    before = browser.view
    answers = tell(browser, sent, message)
    assert reason in answers["error"][0]["text"]
    assert answers["done"][0]["id"] == "a:1"
    assert browser.view == before


def test_every_message_is_done_and_drawings_rise(browser, sent):
    versions = []
    for index in range(4):
        answers = tell(browser, sent, {"kind": "show", "domain": "line", "index": index, "gallery": "flat"})
        assert sent[-1][0] == {"kind": "done", "id": "a:1"}
        versions.append(answers["ranking"][0]["version"])
    assert versions == sorted(set(versions))


def test_the_first_view_travels_with_the_widget_and_is_gone_when_it_was_seen(browser, sent):
    kinds = [part["message"]["kind"] for part in browser.opening]
    assert kinds == ["ranking", "page"]
    assert all(len(buffer) for part in browser.opening for buffer in part["buffers"])
    assert set(tell(browser, sent, {"kind": "hello", "has": True})) == {"done"}
    assert browser.opening == []
    assert set(tell(browser, sent, {"kind": "hello", "has": False})) == {"ranking", "page", "done"}


def test_the_state_stays_small(browser, sent):
    tell(browser, sent, {"kind": "hello", "has": True})
    state = browser.get_state()
    code = {"_esm", "_css"}
    assert sum(len(str(value)) for name, value in state.items() if name not in code) < 9_000
    assert len(state["_esm"]) < 25_000


def test_the_saved_view_is_an_image_and_a_line_of_text(browser):
    data, _ = browser._repr_mimebundle_()
    sheet = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
    assert sheet.format == "PNG"
    assert sheet.width > 7 * 56  # the query and its six results
    assert "22 of line, 18 of flat; models: good, poor" in data["text/plain"]
    assert "application/vnd.jupyter.widget-view+json" in data


def test_bad_input_is_refused(pairs):
    with pytest.raises(InputError, match="at least one model"):
        RetrievalBrowser({})
    with pytest.raises(InputError, match="k = 0 results"):
        RetrievalBrowser(pairs, k=0)
    with pytest.raises(InputError, match="no order 'best first'; choose one of sample"):
        RetrievalBrowser(pairs, k=2, order="best first")
    query, gallery = pairs["good"]
    backwards = replace(gallery, paths=gallery.paths[::-1])
    with pytest.raises(InputError, match="different 'flat' images"):
        RetrievalBrowser(pairs | {"other": (query, backwards)}, k=2)
    gallery.paths[3].unlink()
    with pytest.raises(InputError, match="1 of 18 image files of 'flat' are gone"):
        RetrievalBrowser(pairs, k=2)


def test_what_is_changed_before_the_display_is_what_is_displayed(browser, sent):
    browser.show(5)
    assert browser.opening == []  # so that the page asks
    content, _ = look(browser, sent)["ranking"]
    assert content["query"]["index"] == 5


def test_a_fault_of_ours_ends_the_wait_too(browser, sent, monkeypatch):
    def broken(view):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(browser.panels, "ranking", broken)
    sent.clear()
    # The widget's own dispatcher catches what is raised, and logs it.
    browser._handle_custom_msg({"id": "a:1", "kind": "go", "change": {"reranking": "expansion"}}, [])
    assert [content["kind"] for content, _ in sent][-2:] == ["error", "done"]


def test_two_quick_selections_are_both_kept(browser, sent):
    entries = [
        {"domain": "flat", "index": i, "rank": 1, "score": 0.5, "right": True, "model": "good"}
        for i in (1, 2)
    ]
    entries = [entry | {"query": browser.query} for entry in entries]
    for entry in entries:
        tell(browser, sent, {"kind": "toggle", "entry": entry})
    assert [entry["index"] for entry in browser.view["selected"]] == [1, 2]
    tell(browser, sent, {"kind": "toggle", "entry": entries[0]})
    assert [entry["index"] for entry in browser.view["selected"]] == [2]


def test_a_view_needs_a_query(browser):
    with pytest.raises(InputError, match="trail cannot be empty"):
        browser.go(trail=[])
    with pytest.raises(InputError, match="no domain 'photo'"):
        browser.ask(Image.new("RGB", (9, 9)), domain="photo")
    assert browser.query["domain"] == "line"


def test_models_of_other_domains_are_refused(pairs):
    query, gallery = pairs["good"]
    with pytest.raises(InputError, match="different"):
        RetrievalBrowser(pairs | {"other": (replace(query, domain="photo"), gallery)})
    with pytest.raises(InputError, match="other domains"):
        RetrievalBrowser(pairs | {"other": (query,)})
