"""The card says what was done, and says it briefly."""

import dataclasses

import pytest

from tpsnet.evaluation import evaluate


@pytest.fixture
def pair(embeddings, lattice):
    """Classes 0, 1 and 3 ask, 0 to 2 are searched: two common, and both queries of class 3 are lone."""
    return embeddings("line", lattice(5), [0, 0, 1, 3, 3]), embeddings("flat", lattice(4), [0, 1, 1, 2])


def test_evaluate_fills_what_it_knows(pair):
    card = evaluate(*pair, ks=(1, 3)).card
    assert (card.query_domain, card.gallery_domain) == ("line", "flat")
    assert (card.n_query, card.n_gallery, card.n_classes, card.n_lone) == (5, 4, 2, 2)
    assert card.ks == (1, 3)
    assert (card.engine, card.ties) == ("torch", "in the gallery's order")
    assert (card.split, card.epoch, card.seeds) == ("all", "last", ())


def test_evaluate_passes_on_what_it_is_told(pair):
    card = evaluate(*pair, ks=(1,), split="holdout", epoch="none, not trained", seeds=(0, 1, 2)).card
    assert (card.split, card.epoch, card.seeds) == ("holdout", "none, not trained", (0, 1, 2))


def test_faiss_does_not_promise_the_gallery_s_order(pair):
    pytest.importorskip("faiss")
    card = evaluate(*pair, ks=(1,), engine="faiss").card
    assert (card.engine, card.ties) == ("faiss", "as faiss returns them")


def test_markdown_shows_every_field_and_stays_short(pair):
    card = evaluate(*pair, ks=(1, 3), seeds=(7, 11)).card
    text = card.markdown()
    for field in dataclasses.fields(card):
        value = getattr(card, field.name)
        assert (", ".join(map(str, value)) if isinstance(value, tuple) else str(value)) in text, field.name
    assert "5 queries, 2 lone" in text and "**lone queries** (n_q = 0): left out" in text
    assert len(text.splitlines()) <= 8
    assert "transductive" in text
    assert "transductive" not in dataclasses.replace(card, split="holdout").markdown()


def test_a_card_cannot_be_changed_after_the_fact(pair):
    with pytest.raises(dataclasses.FrozenInstanceError):
        evaluate(*pair, ks=(1,)).card.n_lone = 0
