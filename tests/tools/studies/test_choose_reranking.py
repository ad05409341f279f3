"""The choice of re-ranking settings: what is measured, on which halves, and what the page says."""

from pathlib import Path

import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from tools.studies import choose_reranking
from tools.studies.choose_reranking import START, choose, cross_domain_agreement, judge, page
from tpsnet.backbone import embed_with_flip, load_backbone
from tpsnet.data import load_pair
from tpsnet.evaluation import RERANKINGS
from tpsnet.evaluation.rerank import Diffusion


@pytest.fixture
def pair(root, small_clip):
    return load_pair(root, ("flat", "line"), load_backbone(small_clip).resize)


@pytest.fixture
def halves(pair, small_clip):
    backbone = load_backbone(small_clip)
    return [embed_with_flip(backbone.encode_image, images) for images in pair.images]


def test_halves_that_are_equal_agree_wholly_and_others_less(pair, halves, rng):
    rule = Diffusion(neighbours=2)
    twice = [(plain, plain) for plain, _ in halves]
    assert judge(rule, twice, pair)["agreement"] == pytest.approx(100)
    noisy = [(plain, F.normalize(torch.randn(plain.shape, generator=rng), dim=1)) for plain, _ in halves]
    assert judge(rule, noisy, pair)["agreement"] < 50


def test_the_agreement_reads_no_label(pair, halves):
    before = judge(Diffusion(neighbours=2), halves, pair)
    for domain in pair.domains:
        domain.labels.copy_(domain.labels[torch.randperm(len(domain))])
    after = judge(Diffusion(neighbours=2), halves, pair)
    assert before["agreement"] == after["agreement"] and before["mAP"] != after["mAP"]


def test_the_page_names_the_choice_and_the_start_keeps_near_ties():
    found = {
        "expansion": pd.DataFrame({"neighbours 10": (50.0, 9.0), "neighbours 20": (50.9, 8.0)}).T,
        "diffusion": pd.DataFrame(
            {START["diffusion"]: (50.0, 1.0), "neighbours 3, share 0.8": (51.0, 2.0)}
        ).T,
    }
    for frame in found.values():
        frame.columns = ["agreement", "mAP"]
    text = page(("line", "flat"), found)
    assert "on line ↔ flat with" in text and "| **neighbours 10** | 50.0 | 9.0 |" in text
    assert "| **neighbours 3, share 0.8** | 51.0 | 2.0 |" in text and f"| {START['diffusion']} |" in text


def test_what_is_shipped_is_what_the_page_chooses():
    card = (Path(choose_reranking.__file__).parents[2] / "docs/studies/reranking.md").read_text()
    expansion, diffusion = RERANKINGS["expansion"], RERANKINGS["diffusion"]
    assert f"**neighbours {expansion.neighbours}**" in card
    assert f"**neighbours {diffusion.neighbours}, share {diffusion.share:g}**" in card


def slow_kappa(one, other) -> float:
    votes = [
        (one[0][i] == one[1][j], other[0][i] == other[1][j])
        for i in range(len(one[0]))
        for j in range(len(one[1]))
    ]
    n = len(votes)
    observed = sum(bool(a) == bool(b) for a, b in votes) / n
    yes = [sum(bool(v[k]) for v in votes) / n for k in range(2)]
    chance = yes[0] * yes[1] + (1 - yes[0]) * (1 - yes[1])
    return (observed - chance) / (1 - chance)


def test_by_hand():
    """2 × 2 pairs; one says yes to the diagonal, the other to its first half: observed 3/4, chance 1/2."""
    one = torch.tensor([0, 1]), torch.tensor([0, 1])
    other = torch.tensor([0, 1]), torch.tensor([0, 2])
    assert cross_domain_agreement(one, other) == pytest.approx((0.75 - 0.5) / (1 - 0.5))


def test_against_slow_loops(rng):
    one = [torch.randint(0, 4, (n,), generator=rng) for n in (13, 17)]
    other = [torch.where(torch.rand(len(x), generator=rng) < 0.3, (x + 1) % 4, x) for x in one]
    assert 0.1 < cross_domain_agreement(one, other) < 0.9
    assert cross_domain_agreement(one, other) == pytest.approx(slow_kappa(one, other), abs=1e-12)


def test_names_of_clusters_do_not_matter(rng):
    one = [torch.randint(0, 5, (30,), generator=rng) for _ in range(2)]
    renamed = torch.randperm(5, generator=rng)
    assert cross_domain_agreement(one, [renamed[x] for x in one]) == pytest.approx(1)


def test_clusters_of_one_domain_only_earn_nothing():
    """Perfectly stable, and useless for retrieval across domains."""
    pure = torch.tensor([0, 0, 1, 1]), torch.tensor([2, 2, 3, 3])
    assert cross_domain_agreement(pure, pure) == 0


def test_only_a_clear_winner_leaves_the_start():
    assert choose({0.1: 50.0, 0.2: 52.0, 0.4: 51.0}, 0.1) == 0.2
    assert choose({0.1: 50.0, 0.2: 50.9, 0.4: 40.0}, 0.1) == 0.1
    assert choose({0.1: 50.0, 0.2: 40.0}, 0.1) == 0.1
