from dataclasses import replace

import pytest
import torch
from viz.reference_ranking import slow_ranking

from tpsnet.viz.listing import ORDERS, UNSURVEYED, listed
from tpsnet.viz.retrieval import Retrieval


@pytest.fixture
def both(domain):
    return domain("line", 22), domain("flat", 18)


@pytest.fixture
def surveys(both, noisier):
    pairs = (both, [noisier(part) for part in both])
    return [
        Retrieval({part.domain: part for part in parts}).survey("line", "flat", depth=4) for parts in pairs
    ]


def slow_ap(both, q):
    right = [r for *_, r in slow_ranking(both[0], q, both[1], len(both[1]))]
    hits = [sum(right[:i]) / i for i in range(1, len(right) + 1) if right[i - 1]]
    return 100 * sum(hits) / len(hits)


@pytest.mark.parametrize("order", ORDERS)
def test_every_query_is_listed_once(both, surveys, order):
    order = listed(both[0], order, survey=surveys[0], other=surveys[1])
    assert sorted(order) == list(range(22))


def test_the_worst_come_first(both, surveys):
    worth = [slow_ap(both, q) for q in listed(both[0], "worst first", survey=surveys[0])]
    assert worth == pytest.approx(sorted(worth)) and worth[0] < worth[-1]


def test_queries_without_a_match_are_not_among_the_worst(both):
    query, gallery = both
    few = gallery.subset((gallery.labels != 1).nonzero()[:, 0].tolist())
    survey = Retrieval({"line": query, "flat": few}).survey("line", "flat", depth=3)
    order = listed(query, "worst first", survey=survey)
    n = int((query.labels == 1).sum())
    assert [int(query.labels[q]) == 1 for q in order] == [False] * (22 - n) + [True] * n


def test_the_first_page_is_a_fair_sample(domain):
    """Sorted by class, as folders are: the first quarter of the list holds every class."""
    many = domain("line", 80)
    sorted_by_class = many.subset(many.labels.argsort(stable=True).tolist())
    first = listed(sorted_by_class, "sample")[:20]
    counts = torch.bincount(sorted_by_class.labels[first], minlength=4)
    assert counts.min() >= 2
    assert first != sorted(first)


def test_gains_and_losses_begin_with_what_flipped(both, surveys):
    ours, other = surveys
    flip = ours.right.long() - other.right.long()
    gained = listed(both[0], "gains first", survey=ours, other=other)
    lost = listed(both[0], "losses first", survey=ours, other=other)
    for order, sign in ((gained, 1), (lost, -1)):
        first = [int(flip[q]) * sign for q in order]
        assert first == sorted(first, reverse=True) and first[0] == 1
        change = [float(ours.average_precision[q] - other.average_precision[q]) * sign for q in order]
        level = [c for c, f in zip(change, first, strict=True) if f == 0]
        assert level == sorted(level, reverse=True)


def test_undecided_hubs_and_style(both, surveys):
    survey = surveys[0]
    margins = [float(survey.margin[q]) for q in listed(both[0], "undecided first", survey=survey)]
    assert margins == sorted(margins)
    counts = [int(survey.occurrence[survey.first[q]]) for q in listed(both[0], "hubs first", survey=survey)]
    assert counts == sorted(counts, reverse=True)
    style = [bool(survey.own_right[q]) for q in listed(both[0], "style first", survey=survey)]
    assert style == sorted(style)


def test_filters(both, surveys):
    query, survey = both[0], surveys[1]
    wrong = listed(query, "as stored", "wrong", survey=survey)
    assert wrong == [q for q in range(22) if not survey.right[q]] and 0 < len(wrong) < 22
    assert listed(query, "as stored", category="cat") == [2, 6, 10, 14, 18]
    rejected = torch.arange(22) % 5 == 0
    assert listed(query, "as stored", "no match", rejected=rejected) == [0, 5, 10, 15, 20]
    assert listed(query, "as stored", "no match") == []
    assert listed(query, "as stored", "wrong", "cat", survey=survey) == [q for q in wrong if q % 4 == 2]


def test_without_a_survey_the_list_is_the_sample(both):
    for order in set(ORDERS) - set(UNSURVEYED):
        assert listed(both[0], order) == listed(both[0], "sample")


def test_equal_ones_stand_in_the_order_of_the_sample(both, surveys):
    same = replace(surveys[0], average_precision=torch.full((22,), 50.0, dtype=torch.float64))
    assert listed(both[0], "worst first", survey=same) == listed(both[0], "sample")
