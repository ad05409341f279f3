import pytest
import torch

from tpsnet.viz.figures.ranking import class_changes

NAMES = ("apple", "boat", "cat", "drum", "never")


def test_classes_stand_in_the_order_of_their_gain():
    labels = torch.tensor([0, 0, 1, 2, 3])
    before = torch.tensor([10.0, 30, 50, 50, 90])
    after = torch.tensor([60.0, 80, 40, 55, 90])  # apple +50, boat -10, cat +5, drum 0
    figure = class_changes(before, after, labels, NAMES)
    _, first, second = figure.data
    assert list(second.y) == ["boat", "drum", "cat", "apple"]
    assert list(first.x) == pytest.approx([50, 90, 50, 20])
    assert list(second.x) == pytest.approx([40, 90, 55, 70])


def test_only_the_ends_are_shown():
    n = 30
    figure = class_changes(
        torch.zeros(n), torch.arange(n).float(), torch.arange(n), [f"class {i}" for i in range(n)], shown=2
    )
    assert list(figure.data[2].y) == ["class 0", "class 1", "class 28", "class 29"]
