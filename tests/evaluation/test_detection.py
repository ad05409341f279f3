"""Detection figures by hand, their corners, and how a verdict travels."""

from dataclasses import replace

import pytest
import torch

from tpsnet.evaluation import detection, evaluate, rank
from tpsnet.types import Embeddings, InputError


def bits(text: str) -> torch.Tensor:
    return torch.tensor([c == "1" for c in text])


def test_by_hand():
    """Four private, three rejected; six shared, three kept."""
    found = detection(rejected=bits("1110111000"), private=bits("1111000000"))
    assert (found.private_accuracy, found.shared_accuracy) == (75.0, 50.0)
    assert found.accuracy == pytest.approx(60.0)
    assert found.h_score == pytest.approx(2 * 75 * 50 / 125)


def test_corners():
    everything = detection(bits("1111"), bits("1100"))
    assert (everything.private_accuracy, everything.shared_accuracy, everything.h_score) == (100, 0, 0)
    wrong = detection(bits("0011"), bits("1100"))
    assert (wrong.accuracy, wrong.h_score) == (0, 0)
    closed = detection(bits("0001"), bits("0000"))
    assert closed.shared_accuracy == closed.accuracy == 75
    assert closed.private_accuracy is None and closed.h_score is None


@pytest.fixture
def pair(embeddings, lattice):
    """Classes 0, 1, 3 ask and 0 to 2 are searched: the queries of class 3 are private."""
    query = embeddings("line", lattice(5), [0, 0, 1, 3, 3])
    verdict = bits("01011")
    return replace(query, rejected=verdict), embeddings("flat", lattice(4), [0, 1, 1, 2])


def test_verdicts_reach_scores_and_rankings(pair):
    found = evaluate(*pair, ks=(1,), label_spaces="open, seed 0")
    assert (found.detection.private_accuracy, found.detection.accuracy) == (100, pytest.approx(80))
    assert found.card.label_spaces == "open, seed 0" and "open, seed 0" in found.card.markdown()
    ranking = rank(*pair, chunk=2)
    assert ranking.rejected.tolist() == [False, True, False, True, True]
    silent = replace(pair[0], rejected=None)
    assert evaluate(silent, pair[1], ks=(1,)).detection is None
    assert evaluate(silent, pair[1], ks=(1,)).mean_ap == found.mean_ap  # a verdict changes no ranking
    assert not rank(silent, pair[1]).rejected.any()


def test_verdicts_are_saved(pair, tmp_path):
    pair[0].save(tmp_path / "q.safetensors")
    assert torch.equal(Embeddings.load(tmp_path / "q.safetensors").rejected, pair[0].rejected)
    pair[1].save(tmp_path / "g.safetensors")
    assert Embeddings.load(tmp_path / "g.safetensors").rejected is None


def test_a_folder_that_cannot_be_written_is_one_line(pair, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot write"):
        pair[0].save(tmp_path / "file" / "q.safetensors")
