"""Each metric name is defined once, and the card says what was done, briefly."""

import dataclasses

import pytest
import torch
from hostile import COLOURS, MARKUP, tags, text

from tpsnet.errors import InputError
from tpsnet.escape import printable
from tpsnet.evaluation import definition, evaluate, evaluate_zero_shot, in_order, protocol_card
from tpsnet.viz.document import markdown


@pytest.fixture
def pair(embeddings, lattice):
    """Queries of classes 0, 1 and 3, a gallery of 0 to 2: two common, and class 3 has no match."""
    return embeddings("line", lattice(5), [0, 0, 1, 3, 3]), embeddings("flat", lattice(4), [0, 1, 1, 2])


def test_a_depth_changes_a_name_and_not_its_definition():
    assert definition("P@1") == definition("P@15") != definition("plain P@15")
    assert len({definition(name) for name in ("mAP", "mAP@5", "mAP@5 over hits", "interpolated mAP@5")}) == 4
    for name in ("mAP@All", "Prec@100", "P@", "F1"):
        with pytest.raises(InputError, match=f"no metric '{name}' is defined; choose one of mAP, mAP@k"):
            definition(name)


def test_names_are_ordered_by_the_table_then_by_depth():
    names = ["H-score", "P@15", "plain P@1", "P@5", "mAP", "P@1", "P@5"]
    assert in_order(names) == ["mAP", "P@1", "P@5", "P@15", "plain P@1", "H-score"]


def test_evaluate_fills_what_it_knows(pair):
    facts = evaluate(*pair, ks=(1, 3)).facts
    assert (facts.query_domain, facts.gallery_domain) == ("line", "flat")
    assert (facts.n_query, facts.n_gallery, facts.n_classes, facts.n_unmatched) == (5, 4, 2, 2)
    assert facts.engine == "torch"


def test_the_engine_that_ranked_is_named(pair):
    pytest.importorskip("faiss")
    for measure in (evaluate, evaluate_zero_shot):
        ours, theirs = (measure(*pair, ks=(1,), engine=engine) for engine in ("torch", "faiss"))
        assert (ours.facts.engine, theirs.facts.engine) == ("torch", "faiss")
        assert theirs.metrics() == ours.metrics()


def test_the_card_defines_exactly_the_metrics_of_its_scores(pair):
    rejecting = dataclasses.replace(pair[0], rejected=torch.zeros(5, dtype=torch.bool)), pair[1]
    made = [evaluate(*both, ks=(1, 3)) for both in (pair, rejecting)]
    for scores in [*made, *(evaluate_zero_shot(*pair, ks=(2,), mode=m) for m in ("voc_minR", "hits"))]:
        card = protocol_card(scores, label_spaces="open")
        assert card.metrics == {name: definition(name) for name in scores.metrics()}
    plain, rejections = (protocol_card(scores, label_spaces="open").markdown() for scores in made)
    assert "**P@1, P@3**: 100" in plain and "**H-score**" in rejections and "H-score" not in plain


def test_markdown_shows_every_field_and_stays_short(pair):
    scores = evaluate(*pair, ks=(1, 3))
    card = protocol_card(scores, label_spaces="open, seed 0", split="all", epoch="best", seeds=(7, 11))
    text = card.markdown()
    for field in dataclasses.fields(card):
        value = getattr(card, field.name)
        for part in (
            value if isinstance(value, tuple) else value.values() if isinstance(value, dict) else [value]
        ):
            assert str(part) in text, field.name
    assert "5 queries, 2 without a match" in text
    assert len(text.splitlines()) <= 8
    assert "transductive" in text
    assert "transductive" not in dataclasses.replace(card, split="holdout").markdown()
    assert "**seeds**: none" in protocol_card(scores, label_spaces="open").markdown()


def test_names_on_a_card_are_text(pair):
    """In Markdown as a reader sees them, in plain lines as they are."""
    card = protocol_card(evaluate(*pair, ks=(1,)), label_spaces=MARKUP, rerankings={MARKUP: COLOURS})
    card = dataclasses.replace(card, query_domain=MARKUP, gallery_domain=COLOURS, epoch="a|b", engine=MARKUP)
    first, *_, last = card.lines()
    assert first.startswith(f"- {MARKUP} → {COLOURS}: 5 queries") and first.endswith(f"label spaces {MARKUP}")
    assert (
        last == "- split: all (training set = query set = gallery set, transductive); epoch: a|b; seeds: none"
    )
    page = markdown(card.markdown())
    assert tags(page) == {"div", "ul", "li", "strong", "code"}
    shown = [f"- {line}" for line in text(page).split("\n") if line]
    assert shown == list(map(printable, card.lines()))


def test_a_card_cannot_be_changed_after_the_fact(pair):
    with pytest.raises(dataclasses.FrozenInstanceError):
        protocol_card(evaluate(*pair, ks=(1,)), label_spaces="open").n_unmatched = 0
