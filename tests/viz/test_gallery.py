"""The browser over a gallery: its engine answers and is named, and what it cannot do is refused."""

from dataclasses import replace

import pytest
import torch
from viz.messages import tell

from tpsnet.errors import InputError
from tpsnet.galleries import Record, open_gallery
from tpsnet.types import UNLABELLED
from tpsnet.viz.browser import RetrievalBrowser
from tpsnet.viz.gallery import GalleryRetrieval, catalogues
from tpsnet.viz.retrieval import Question, Retrieval


def records(part):
    names = (part.class_names[label] for label in part.labels.tolist())
    return [Record(part.domain, name, str(path)) for name, path in zip(names, part.paths, strict=True)]


@pytest.fixture
def both(domain):
    return domain("line", 22), domain("flat", 18)


@pytest.fixture
def gallery(both, tmp_path):
    """A faiss file in which the domains' images alternate."""
    rows = torch.cat([part.vectors for part in both])
    known = [*records(both[0]), *records(both[1])]
    order = torch.randperm(40, generator=torch.Generator().manual_seed(3)).tolist()
    with open_gallery(f"faiss:{tmp_path}/g.faiss") as opened:
        opened.add([(rows[order], [known[i] for i in order])], "Frozen")
        yield opened


@pytest.fixture
def ranked(gallery):
    return GalleryRetrieval(catalogues(gallery), gallery=gallery, depth=12)


def test_answers_are_those_of_the_embeddings(both, ranked):
    model, paths = Retrieval({part.domain: part for part in both}), {}
    for part in both:
        paths[part.domain] = [str(path) for path in ranked.domains[part.domain].paths]
        assert set(paths[part.domain]) == set(map(str, part.paths))
    for name in ("flat", "line"):
        for index in (0, 7, 21):
            own = paths["line"].index(str(both[0].paths[index]))
            answer = ranked.answer(Question(name, "line", own))
            expected = model.answer(Question(name, "line", index))
            of = next(part for part in both if part.domain == name)
            found = [paths[name][item] for item in answer.items.tolist()]
            assert found == [str(of.paths[item]) for item in expected.items[:12].tolist()]
            assert torch.equal(answer.scores, expected.scores[:12])
            assert answer.right.tolist() == expected.right[:12].tolist()
            assert answer.n_relevant == expected.n_relevant and answer.average_precision is None
            (several,) = ranked.answers("line", name, [own])
            assert several.items.tolist() == answer.items.tolist()


def test_the_page_names_the_engine_and_shows_files_by_their_path(gallery, both, sent):
    browser = RetrievalBrowser({"Frozen": gallery}, k=5, page_size=4)
    browser.show(3, "line", "flat")
    message, images = next((c, i) for c, i in sent if c["kind"] == "ranking")
    (answer, near) = message["lists"]
    assert answer["text"].endswith("found; faiss flat, exact, 40 images") and near["role"] == "own"
    assert len(answer["rows"]) == 5 and all(images)
    assert {row["path"] for row in answer["rows"]} <= set(map(str, both[1].paths))
    assert message["query"]["path"] in set(map(str, both[0].paths))
    row = answer["rows"][2]
    browser.show(row["index"], "flat", "line")  # a result is the next query
    assert browser.query["label"] == row["class"]
    browser.go(category="boat", order="as stored")
    listed = [c for c, _ in sent if c["kind"] == "page"][-1]["rows"]
    assert listed and {entry["class"] for entry in listed} == {"boat"}
    assert browser.sheet().startswith(b"\x89PNG")
    assert "22 of line" in browser._repr_mimebundle_()[0]["text/plain"]


@pytest.mark.parametrize("change", [{"order": "worst first"}, {"only": "wrong"}, {"reranking": "diffusion"}])
def test_what_needs_every_query_ranked_is_refused(gallery, sent, change):
    browser = RetrievalBrowser({"Frozen": gallery})
    before = browser.view
    content, _ = tell(browser, sent, {"kind": "go", "change": change})["error"]
    assert "one query at a time" in content["text"] and browser.view == before
    for name, value in change.items():
        offered = {"order": "orders", "only": "only", "reranking": "rerankings"}[name]
        assert value not in browser.choices[offered]


def test_a_gallery_is_asked_in_words(gallery, both, sent):
    browser = RetrievalBrowser(
        {"Frozen": gallery}, embedders={"Frozen": lambda given, name: both[1].vectors[4, None]}
    )
    browser.go(gallery_domain="flat")
    sent.clear()
    browser.ask("boat")
    (answer,) = next(c for c, _ in sent if c["kind"] == "ranking")["lists"]
    assert answer["rows"][0]["path"] == str(both[1].paths[4]) and answer["rows"][0]["right"] is None
    assert answer["text"] == "faiss flat, exact, 40 images"


def test_images_without_a_class_are_neither_right_nor_wrong(both):
    gallery = open_gallery("memory")
    bare = replace(both[1], labels=torch.zeros(18, dtype=torch.long), class_names=UNLABELLED)
    gallery.add([(both[0].vectors, records(both[0])), (bare.vectors, records(bare))], "Frozen")
    ranked = GalleryRetrieval(catalogues(gallery), gallery=gallery)
    assert ranked.answer(Question("flat", "line", 3)).right is None
    assert ranked.answer(Question("line", "line", 3)).right is not None


def test_a_gallery_stands_alone_and_is_not_empty(gallery, both):
    with pytest.raises(InputError, match="stands alone"):
        RetrievalBrowser({"Frozen": gallery, "other": both})
    with pytest.raises(InputError, match="holds no images yet"):
        RetrievalBrowser({"none": open_gallery("memory")})


def test_files_that_are_gone_are_told(gallery, both):
    for path in both[1].paths:
        path.unlink()
    with pytest.raises(InputError, match="18 of 18 image files of 'flat' are gone"):
        RetrievalBrowser({"Frozen": gallery})
