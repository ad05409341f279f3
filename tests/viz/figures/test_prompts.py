from collections import Counter

import pytest
import torch

from tpsnet.types import InputError
from tpsnet.viz.figures.prompts import (
    nearest_words,
    of_majority,
    prompt_similarity,
    repairing_by_confidence,
)

PICTURES = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)


def test_the_nearest_words_are_those_of_brute_force(unit):
    prompts, words = unit(3, 4), unit(7, 4)
    names = list("abcdefg")
    figure = nearest_words(prompts, words, names, [PICTURES] * 3, k=3)
    for r in range(3):
        rows = zip(names, words.tolist(), strict=True)
        cosine = {n: sum(x * y for x, y in zip(prompts[r].tolist(), w, strict=True)) for n, w in rows}
        best = sorted(names, key=cosine.get, reverse=True)[:3]
        assert list(figure.data[0].text[r]) == best
        assert figure.data[0].z[r].tolist() == pytest.approx([cosine[n] for n in best], abs=1e-3)
    assert len(figure.layout.images) == 6
    assert {image.y for image in figure.layout.images} == {0, 1, 2}


def test_words_without_vectors_are_refused(unit):
    with pytest.raises(InputError, match="7 word vectors for 6 words"):
        nearest_words(unit(3, 4), unit(7, 4), list("abcdef"), [PICTURES] * 3)
    with pytest.raises(InputError, match="k = 8"):
        nearest_words(unit(3, 4), unit(7, 4), list("abcdefg"), [PICTURES] * 3, k=8)


def slow_majority(groups, labels):
    return [
        Counter(b for a, b in zip(groups, labels, strict=True) if a == g).most_common(1)[0][0] for g in groups
    ]


def test_the_majority_of_a_group_is_counted_by_hand():
    groups = torch.tensor([0, 0, 0, 2, 2, 2])
    labels = torch.tensor([1, 1, 4, 3, 3, 3])
    assert of_majority(groups, labels).tolist() == [True, True, False, True, True, True]


def test_the_majority_is_that_of_a_slow_count(rng):
    groups, labels = (torch.randint(0, n, (200,), generator=rng) for n in (4, 3))
    slow = [
        a == b for a, b in zip(slow_majority(groups.tolist(), labels.tolist()), labels.tolist(), strict=True)
    ]
    assert of_majority(groups, labels).tolist() == slow


def test_repair_and_damage_are_told_apart():
    """Two clusters, three pictures of one class in each, and one of the other class."""
    labels = torch.tensor([0, 0, 0, 1, 1, 1, 1, 0])
    before = torch.tensor([0, 0, 0, 1, 1, 1, 0, 1])
    after = torch.tensor([0, 0, 1, 1, 1, 1, 1, 1])  # 2 is spoiled, 6 is repaired, 7 stays wrong
    confidence = torch.tensor([0.9, 0.8, 0.1, 0.7, 0.6, 0.75, 0.2, 0.3])
    figure = repairing_by_confidence(before, after, labels, confidence, bins=2)
    assert {trace.name: list(trace.y) for trace in figure.data} == {
        "moved to its class": [1, 0],
        "moved, neither": [0, 0],
        "moved away from its class": [1, 0],
        "kept its prompt": [2, 4],
    }


def test_every_picture_is_in_one_bar(rng):
    before, after, labels = (torch.randint(0, 5, (103,), generator=rng) for _ in range(3))
    figure = repairing_by_confidence(before, after, labels, torch.rand(103, generator=rng))
    moved = sum(sum(trace.y) for trace in figure.data[:3])
    assert moved == int((before != after).sum())
    assert moved + sum(figure.data[3].y) == 103


def test_similarity_is_the_cosine_off_its_row_mean(unit):
    prompts = torch.eye(3, 4)
    figure = prompt_similarity(prompts, torch.eye(3, 4)[[0, 2, 1]])
    third = 1 / 3
    wanted = [1 - third, -third, -third, -third, -third, 1 - third, -third, 1 - third, -third]
    assert figure.data[0].z.flatten().tolist() == pytest.approx(wanted)
    assert "1 of 3 prompts" in figure.layout.title.text
