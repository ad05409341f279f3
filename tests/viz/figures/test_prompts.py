import pytest
import torch

from tpsnet.errors import InputError
from tpsnet.viz.figures import nearest_words, prompt_similarity, repairing_by_confidence

IMAGES = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)


def test_the_nearest_words_are_those_of_brute_force(unit):
    prompts, words = unit(3, 4), unit(7, 4)
    names = list("abcdefg")
    figure = nearest_words(prompts, words, names, [IMAGES] * 3, k=3)
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
        nearest_words(unit(3, 4), unit(7, 4), list("abcdef"), [IMAGES] * 3)
    with pytest.raises(InputError, match="k = 8"):
        nearest_words(unit(3, 4), unit(7, 4), list("abcdefg"), [IMAGES] * 3, k=8)


def test_repair_and_damage_are_told_apart():
    """Two clusters, three images of one class in each, and one of the other class."""
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


def test_every_image_is_in_one_bar(rng):
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
