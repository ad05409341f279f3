"""Prompt losses against nested loops, values by hand, special cases and their gradients."""

import math

import pytest
import torch
import torch.nn.functional as F

from tpsnet.losses import image_to_text, repair_labels, text_to_image

LABELS = torch.tensor([0, 2, 2, 0, 0, 3, 2])  # class 1 is absent, sizes differ


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def slow_image_to_text(images, texts, labels, temperature, smoothing):
    """L_i2t of the module's docstring, term by term, on lists."""
    total = 0.0
    for image, y in zip(images, labels, strict=True):
        partition = sum(math.exp(dot(image, text) / temperature) for text in texts)
        for c, text in enumerate(texts):
            sigma = (1 - smoothing) * (c == y) + smoothing / len(texts)
            total -= sigma * math.log(math.exp(dot(image, text) / temperature) / partition)
    return total / len(images)


def slow_text_to_image(texts, images, labels, temperature):
    """L_t2i of the module's docstring: a mean over classes of a mean over positives, on lists."""
    costs = []
    for c, text in enumerate(texts):
        positives = [image for image, y in zip(images, labels, strict=True) if y == c]
        if not positives:
            continue
        partition = sum(math.exp(dot(text, image) / temperature) for image in images)
        logs = [math.log(math.exp(dot(text, image) / temperature) / partition) for image in positives]
        costs.append(-sum(logs) / len(logs))
    return sum(costs) / len(costs)


@pytest.mark.parametrize("temperature", [0.05, 0.5, 2.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_image_to_text_same_as_the_slow_reference(unit, temperature, smoothing):
    images, texts = unit(7, 5), unit(4, 5)
    ours = image_to_text(images, texts, LABELS, temperature=temperature, smoothing=smoothing).item()
    slow = slow_image_to_text(images.tolist(), texts.tolist(), LABELS.tolist(), temperature, smoothing)
    assert ours == pytest.approx(slow, rel=1e-9)


@pytest.mark.parametrize("temperature", [0.05, 0.5, 2.0])
def test_text_to_image_same_as_the_slow_reference(unit, temperature):
    images, texts = unit(7, 5), unit(4, 5)
    ours = text_to_image(texts, images, LABELS, temperature=temperature).item()
    slow = slow_text_to_image(texts.tolist(), images.tolist(), LABELS.tolist(), temperature)
    assert ours == pytest.approx(slow, rel=1e-9)


def test_image_to_text_by_hand():
    """Cosines 0.6, 0.8 at temperature 0.2: logits 3 and 4, log(1 + e); smoothing 0.5 moves a quarter."""
    image, texts = torch.tensor([[0.6, 0.8]], dtype=torch.float64), torch.eye(2, dtype=torch.float64)
    plain = image_to_text(image, texts, torch.tensor([0]), temperature=0.2)
    assert plain.item() == pytest.approx(math.log(1 + math.e))
    smooth = image_to_text(image, texts, torch.tensor([0]), temperature=0.2, smoothing=0.5)
    assert smooth.item() == pytest.approx(0.75 * math.log(1 + math.e) + 0.25 * math.log(1 + 1 / math.e))


def test_text_to_image_by_hand():
    """Two images on the first axis, one on the second, two texts, temperature 1.

    The first text spreads over (1, 1, 0), each of its two positives costs log(2e + 1) − 1; the second over
    (0, 0, 1), its positive costs log(2 + e) − 1; the classes count the same.
    """
    eye = torch.eye(2, dtype=torch.float64)
    loss = text_to_image(eye, eye[[0, 0, 1]], torch.tensor([0, 0, 1]), temperature=1.0)
    by_hand = (math.log(2 * math.e + 1) - 1 + math.log(2 + math.e) - 1) / 2
    assert loss.item() == pytest.approx(by_hand)


def test_one_image_a_class_makes_them_transposes(unit):
    """With label i on image i, each direction is CLIP's: cross-entropy along one axis of the same matrix."""
    images, texts, diagonal = unit(4, 5), unit(4, 5), torch.arange(4)
    logits = images @ texts.T / 0.1
    i2t = image_to_text(images, texts, diagonal, temperature=0.1)
    t2i = text_to_image(texts, images, diagonal, temperature=0.1)
    torch.testing.assert_close(i2t, F.cross_entropy(logits, diagonal))
    torch.testing.assert_close(t2i, F.cross_entropy(logits.T, diagonal))


def test_equal_texts_cost_log_c_and_equal_images_log_b(unit):
    one = unit(1, 5)
    i2t = image_to_text(unit(7, 5), one.expand(4, 5), LABELS, temperature=0.05, smoothing=0.1)
    t2i = text_to_image(unit(4, 5), one.expand(7, 5), LABELS, temperature=0.05)
    assert i2t.item() == pytest.approx(math.log(4))
    assert t2i.item() == pytest.approx(math.log(7))


def test_gradients_reach_images_and_texts(unit):
    images, texts = unit(7, 3).requires_grad_(), unit(4, 3).requires_grad_()

    def i2t(images, texts):
        return image_to_text(images, texts, LABELS, temperature=0.5, smoothing=0.1)

    def t2i(images, texts):
        return text_to_image(texts, images, LABELS, temperature=0.5)

    assert torch.autograd.gradcheck(i2t, (images, texts))
    assert torch.autograd.gradcheck(t2i, (images, texts))


def test_absent_classes_cost_nothing_in_text_to_image(unit):
    images, texts = unit(7, 5), unit(4, 5).requires_grad_()
    loss = text_to_image(texts, images, LABELS, temperature=0.1)
    loss.backward()
    assert texts.grad[1].abs().sum() == 0
    assert (texts.grad[[0, 2, 3]].abs().sum(dim=1) > 0).all()
    present = text_to_image(texts[[0, 2, 3]], images, torch.tensor([0, 1, 1, 0, 0, 2, 1]), temperature=0.1)
    torch.testing.assert_close(loss, present)


def test_a_class_counts_once_however_often_it_is_drawn(unit):
    """Three copies of one image cost what one of them costs, not three times as much as the other class."""
    texts, (a, b) = unit(2, 5), unit(2, 5)
    images = torch.stack([a, a, a, b])
    log_p = (texts @ images.T / 0.1).log_softmax(dim=1)
    loss = text_to_image(texts, images, torch.tensor([0, 0, 0, 1]), temperature=0.1)
    torch.testing.assert_close(loss, -(log_p[0, 0] + log_p[1, 3]) / 2)


def test_order_of_classes_and_images_is_free(unit, rng):
    images, texts = unit(7, 5), unit(4, 5)
    rows, classes = torch.randperm(7, generator=rng), torch.randperm(4, generator=rng)
    renamed = classes.argsort()[LABELS][rows]  # the class that stood at j stands at argsort(classes)[j]
    for smoothing in (0.0, 0.1):
        torch.testing.assert_close(
            image_to_text(images[rows], texts[classes], renamed, temperature=0.1, smoothing=smoothing),
            image_to_text(images, texts, LABELS, temperature=0.1, smoothing=smoothing),
        )
    torch.testing.assert_close(
        text_to_image(texts[classes], images[rows], renamed, temperature=0.1),
        text_to_image(texts, images, LABELS, temperature=0.1),
    )


def test_extreme_logits_stay_finite():
    """Opposite texts at temperature 1e-4: logits ±10⁴, far beyond what exp bears in float32."""
    images = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], requires_grad=True)
    texts = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    right, wrong = torch.tensor([0, 1]), torch.tensor([1, 0])
    for loss in (image_to_text, lambda i, t, y, temperature: text_to_image(t, i, y, temperature=temperature)):
        assert loss(images, texts, right, temperature=1e-4).item() == 0
        cost = loss(images, texts, wrong, temperature=1e-4)
        assert cost.item() == pytest.approx(2e4)
        cost.backward()
    assert images.grad.isfinite().all()


def test_repair_takes_the_nearest_text(unit):
    images, texts = unit(20, 3), unit(5, 3)
    repaired = repair_labels(images, texts)
    for image, label in zip(images.tolist(), repaired.tolist(), strict=True):
        cosines = [dot(image, text) for text in texts.tolist()]
        assert label == cosines.index(max(cosines))
    assert repaired.dtype == torch.int64
    assert len(repaired.unique()) > 1


def test_repair_undoes_wrong_labels_and_keeps_no_graph():
    """Images near their own text get its label, whatever the cluster said; nothing is kept for a gradient."""
    texts = torch.eye(3).requires_grad_()
    images = F.normalize(torch.eye(3)[[2, 0, 1, 1]] + 0.1, dim=1).requires_grad_()
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        repaired = repair_labels(images, texts)
    assert repaired.tolist() == [2, 0, 1, 1]
    assert not saved


def test_equally_near_texts_give_the_lowest_class(unit):
    texts = unit(1, 4).expand(3, 4)
    assert repair_labels(unit(5, 4), texts).tolist() == [0] * 5


def test_wrong_shapes_are_refused(unit):
    with pytest.raises(Exception, match="texts"):
        image_to_text(unit(7, 5), unit(4, 3), LABELS, temperature=0.1)
    with pytest.raises(Exception, match="labels"):
        text_to_image(unit(4, 5), unit(6, 5), LABELS, temperature=0.1)
    with pytest.raises(Exception, match="texts"):
        repair_labels(unit(7, 5), unit(4, 3))
