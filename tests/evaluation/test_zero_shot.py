"""The zero-shot metrics against loops, by hand, and where the three definitions part."""

import pytest
import torch
from evaluation.reference_zero_shot import slow_average_precision

from tpsnet.errors import InputError
from tpsnet.evaluation import evaluate, evaluate_zero_shot, rank
from tpsnet.evaluation.zero_shot import MODES, average_precision_at


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("k", [1, 4, 7, 30])
def test_equal_to_the_loop(mode, k, embeddings, lattice, rng):
    """Thirty gallery items with many ties, five classes of different size, and chunks that do not divide."""
    query = embeddings("line", lattice(13), torch.randint(0, 5, (13,), generator=rng))
    gallery = embeddings("flat", lattice(30), torch.randint(0, 4, (30,), generator=rng))
    found = evaluate_zero_shot(query, gallery, (k,), mode, chunk=4)
    rows = rank(query, gallery)
    rows = [(r.tolist(), int(n)) for r, n in zip(rows.relevant, rows.n_relevant, strict=True) if n]
    at = [slow_average_precision(r, n, k, mode) for r, n in rows]
    whole = [slow_average_precision(r, n, 30, mode) for r, n in rows]
    assert found.mean_ap_at[k] == pytest.approx(100 * sum(at) / len(at), abs=1e-10)
    assert found.mean_ap == pytest.approx(100 * sum(whole) / len(whole), abs=1e-10)
    assert found.plain_precision[k] == pytest.approx(100 * sum(sum(r[:k]) / k for r, _ in rows) / len(rows))
    assert found.facts.n_unmatched == 13 - len(rows) > 0


def test_by_hand_where_the_definitions_part():
    """Hits at 1, 4, 5 of four relevant: precisions 1, 1/2, 3/5, and the second is lifted to 3/5."""
    ranks = torch.tensor([[1, 4, 5, 9]])
    values = {m: average_precision_at(ranks, torch.tensor([4]), 5, m).item() for m in MODES}
    assert values == pytest.approx({"voc_minR": 2.2 / 4, "hits": 2.1 / 3, "strict": 2.1 / 4})
    shallow = {m: average_precision_at(ranks, torch.tensor([4]), 2, m).item() for m in MODES}
    assert shallow == pytest.approx({"voc_minR": 0.5, "hits": 1.0, "strict": 0.5})


@pytest.mark.parametrize("mode", MODES)
def test_no_hit_is_zero_and_a_perfect_ranking_is_one(mode):
    perfect, none = torch.tensor([[1, 2, 3]]), torch.tensor([[9, 10, 11]])
    for k in (1, 3, 8):
        assert average_precision_at(perfect, torch.tensor([3]), k, mode).item() == 1
        assert average_precision_at(none, torch.tensor([3]), k, mode).item() == 0


def test_the_strict_mean_over_all_is_that_of_evaluate(embeddings, lattice, rng):
    query = embeddings("line", lattice(9), torch.randint(0, 4, (9,), generator=rng))
    gallery = embeddings("flat", lattice(20), torch.arange(20) % 4)
    plain = evaluate(query, gallery, (5,))
    for mode in ("strict", "hits"):
        assert evaluate_zero_shot(query, gallery, (5,), mode).mean_ap == pytest.approx(plain.mean_ap)
    assert evaluate_zero_shot(query, gallery, (5,)).mean_ap > plain.mean_ap
    assert evaluate_zero_shot(query, gallery, (5,)).plain_precision == pytest.approx(plain.plain_precision)


@pytest.mark.parametrize(
    ("mode", "names"),
    [
        ("voc_minR", ["interpolated mAP", "interpolated mAP@2", "plain P@2"]),
        ("hits", ["mAP", "mAP@2 over hits", "plain P@2"]),
        ("strict", ["mAP", "mAP@2", "plain P@2"]),
    ],
)
def test_each_definition_has_its_names(mode, names, embeddings, lattice):
    query = embeddings("line", lattice(4), [0, 1, 2, 3])
    gallery = embeddings("flat", lattice(5), [0, 1, 2, 3, 3])
    found = evaluate_zero_shot(query, gallery, (2,), mode)
    assert list(found.metrics()) == names
    assert list(found.metrics().values()) == [found.mean_ap, found.mean_ap_at[2], found.plain_precision[2]]


def test_a_depth_beyond_the_gallery_is_left_out(embeddings, lattice):
    query, gallery = embeddings("line", lattice(2), [0, 1]), embeddings("flat", lattice(3), [0, 1, 1])
    found = evaluate_zero_shot(query, gallery, (3, 200))
    assert found.metrics() == evaluate_zero_shot(query, gallery, (3,)).metrics()
    assert list(found.mean_ap_at) == [3] and found.facts.left_out == (200,)


def test_bad_input_is_one_line(embeddings, lattice):
    query, gallery = embeddings("line", lattice(2), [0, 1]), embeddings("flat", lattice(3), [0, 1, 1])
    with pytest.raises(InputError, match=r"no mode 'voc'.*voc_minR, hits, strict"):
        evaluate_zero_shot(query, gallery, (2,), "voc")
    with pytest.raises(InputError, match="no class in common"):
        evaluate_zero_shot(query, embeddings("flat", lattice(3), [2, 2, 2]), (2,))
