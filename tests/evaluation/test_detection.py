"""Detection by hand, its corners, and how a rejection travels."""

from dataclasses import replace

import pytest
import torch

from tpsnet.errors import InputError
from tpsnet.evaluation import detection, evaluate, rank
from tpsnet.types import Embeddings


def bits(text: str) -> torch.Tensor:
    return torch.tensor([c == "1" for c in text])


def percent(rejected: str, unmatched: str) -> list[float | None]:
    """Rejected without a match, kept with a match, accuracy, H-score."""
    found = detection(bits(rejected), bits(unmatched))
    names = ["rejected without a match", "kept with a match", "detection accuracy", "H-score"]
    assert list(found) == names
    return list(found.values())


def test_by_hand():
    """Four without a match, three rejected; six with one, three kept."""
    assert percent("1110111000", "1111000000") == pytest.approx([75, 50, 60, 2 * 75 * 50 / 125])


def test_corners():
    assert percent("1111", "1100") == [100, 0, 50, 0]
    assert percent("0011", "1100") == [0, 0, 0, 0]
    assert percent("0001", "0000") == [None, 75, 75, None]


@pytest.fixture
def pair(embeddings, lattice):
    """Queries of classes 0, 1, 3 and a gallery of 0 to 2: the queries of class 3 have no match."""
    query = embeddings("line", lattice(5), [0, 0, 1, 3, 3])
    return replace(query, rejected=bits("01011")), embeddings("flat", lattice(4), [0, 1, 1, 2])


def test_rejections_reach_scores_and_rankings(pair):
    found = evaluate(*pair, ks=(1,))
    named = found.metrics()
    assert named["rejected without a match"] == 100 and named["kept with a match"] == pytest.approx(200 / 3)
    assert named["detection accuracy"] == pytest.approx(80) and named["H-score"] == pytest.approx(80)
    ranking = rank(*pair, chunk=2)
    assert ranking.rejected.tolist() == [False, True, False, True, True]
    silent = replace(pair[0], rejected=None)
    assert list(evaluate(silent, pair[1], ks=(1,)).metrics()) == ["mAP", "P@1", "plain P@1"]
    assert evaluate(silent, pair[1], ks=(1,)).mean_ap == found.mean_ap  # a rejection changes no ranking
    assert not rank(silent, pair[1]).rejected.any()


def test_rejections_are_saved(pair, tmp_path):
    pair[0].save(tmp_path / "q.safetensors")
    assert torch.equal(Embeddings.load(tmp_path / "q.safetensors").rejected, pair[0].rejected)
    pair[1].save(tmp_path / "g.safetensors")
    assert Embeddings.load(tmp_path / "g.safetensors").rejected is None


def test_a_folder_that_cannot_be_written_is_one_line(pair, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot write"):
        pair[0].save(tmp_path / "file" / "q.safetensors")
