from dataclasses import replace

import pytest
import torch
from PIL import Image
from viz.reference_ranking import slow_ranking

from tpsnet.errors import InputError
from tpsnet.evaluation import evaluate, flipped, hubs, rerank, style_before_class
from tpsnet.types import UNLABELLED
from tpsnet.viz.listing import flips
from tpsnet.viz.retrieval import Question, Retrieval


@pytest.fixture
def both(domain):
    return domain("line", 22), domain("flat", 18)


def retrieval(*parts, embed=None):
    return Retrieval({part.domain: part for part in parts}, embed)


@pytest.mark.parametrize("query", [0, 13, 21])
def test_a_query_gets_the_ranking_of_brute_force(both, query):
    answer = retrieval(*both).answer(Question("flat", "line", query))
    expected = slow_ranking(both[0], query, both[1], 18)
    assert answer.items.tolist() == [i for i, _, _ in expected]
    assert answer.scores.tolist() == pytest.approx([s for _, s, _ in expected], abs=1e-6)
    assert answer.right.tolist() == [right for _, _, right in expected]
    assert answer.places[answer.items[4].item()] == 5


def test_many_answers_are_those_of_one_at_a_time(both):
    model = retrieval(*both)
    for gallery in ("flat", "line"):
        several = model.answers("line", gallery, [3, 17, 4])
        for index, answer in zip([3, 17, 4], several, strict=True):
            one = model.answer(Question(gallery, "line", index))
            assert answer.items.tolist() == one.items.tolist()
            assert answer.scores.tolist() == one.scores.tolist()
            assert answer.right.tolist() == one.right.tolist()


def test_in_its_own_domain_a_query_does_not_find_itself(both):
    answer = retrieval(*both).answer(Question("line", "line", 7))
    slow = [i for i, *_ in slow_ranking(both[0], 7, both[0], 22) if i != 7]
    assert answer.items.tolist() == slow


def test_average_precision_is_the_one_of_the_table(both):
    model = retrieval(*both)
    one_by_one = [model.answer(Question("flat", "line", i)).average_precision for i in range(22)]
    survey = model.survey("line", "flat", depth=5)
    mean = evaluate(*both, (1,)).mean_ap
    assert survey.average_precision.tolist() == pytest.approx(one_by_one)
    assert float(survey.average_precision.mean()) == pytest.approx(mean)


def test_a_survey_counts_what_evaluation_counts(both, noisier):
    model = retrieval(*both)
    survey = model.survey("line", "flat", depth=5)
    assert survey.occurrence.tolist() == hubs(*both, 5).occurrence.tolist()
    style = (survey.own > 0) & ~survey.own_right
    assert style.tolist() == (style_before_class(*both) >= 0).tolist()
    worse = [noisier(part) for part in both]
    gained, lost = flipped(tuple(worse), both)
    change = flips(survey, retrieval(*worse).survey("line", "flat", depth=5))
    assert (change == 1).nonzero()[:, 0].tolist() == gained.tolist()
    assert (change == -1).nonzero()[:, 0].tolist() == lost.tolist()
    answers = [model.answer(Question("flat", "line", i)) for i in range(22)]
    assert survey.margin.tolist() == pytest.approx([float(a.scores[0] - a.scores[1]) for a in answers])


def test_a_survey_of_one_domain_leaves_each_query_out(both):
    model = retrieval(*both)
    survey = model.survey("line", "line", depth=3)
    wanted = [model.answer(Question("line", "line", i)) for i in range(22)]
    assert survey.first.tolist() == [int(a.items[0]) for a in wanted]
    assert survey.average_precision.tolist() == pytest.approx([a.average_precision for a in wanted])


@pytest.mark.parametrize("rule", ["expansion", "diffusion"])
def test_re_ranking_is_that_of_evaluation(both, rule):
    query, gallery = rerank(both, rule, known_queries=True)
    answer = retrieval(*both).answer(Question("flat", "line", 3), rule)
    assert answer.items.tolist() == [i for i, *_ in slow_ranking(query, 3, gallery, 18)]


def test_texts_and_pictures_go_through_the_embedder(both):
    asked = []

    def embed(given, domain):
        asked.append((given, domain))
        return both[1].vectors[4, None]

    model, picture = retrieval(*both, embed=embed), Image.new("RGB", (4, 4))
    for question in (Question("flat", given="boat"), Question("flat", "line", given=picture)):
        answer = model.answer(question)
        assert answer.items[0] == 4 and answer.right is None and answer.average_precision is None
    assert asked == [("boat", "flat"), (picture, "line")]
    assert model.answer(Question("flat", given="boat"), "diffusion").items[0] == 4


def test_without_an_embedder_the_reason_is_given(both):
    with pytest.raises(InputError, match="pass embedders"):
        retrieval(*both).answer(Question("flat", given="boat"))


def test_images_without_labels_are_neither_right_nor_wrong(both):
    query = replace(both[0], labels=torch.zeros(22, dtype=torch.long), class_names=UNLABELLED)
    model = retrieval(query, both[1])
    answer = model.answer(Question("flat", "line", 3))
    assert answer.right is None and answer.n_relevant == 0
    assert model.survey("line", "flat", depth=3).average_precision.isnan().all()


def test_a_rejection_holds_for_the_other_domain_as_embedded(both):
    rejected = torch.arange(22) % 3 == 0
    model = retrieval(replace(both[0], rejected=rejected), both[1])
    assert [model.answer(Question("flat", "line", i)).rejected for i in range(22)] == rejected.tolist()
    assert not model.answer(Question("line", "line", 3)).rejected
    assert not model.answer(Question("flat", "line", 3), "expansion").rejected
    assert not (model.survey("line", "flat", depth=3).right & rejected).any()


def test_without_labels_no_first_answer_is_right(both):
    bare = [replace(p, labels=torch.zeros(len(p), dtype=torch.long), class_names=UNLABELLED) for p in both]
    survey = retrieval(*bare).survey("line", "flat", depth=3)
    assert not survey.right.any() and survey.own_right.all()


def test_a_single_image_has_nothing_beside_it(both):
    with pytest.raises(InputError, match="single image"):
        retrieval(both[0].subset([3])).survey("line", "line", depth=3)
