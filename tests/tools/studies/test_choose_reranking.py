"""The choice of re-ranking settings: what is measured, on which halves, and what the page says."""

from pathlib import Path

import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from tools.studies import choose_reranking
from tools.studies.choose_reranking import START, judge, page
from tpsnet.backbone import embed_with_flip, load_backbone
from tpsnet.data import load_pair
from tpsnet.evaluation import RERANKINGS
from tpsnet.evaluation.rerank import Diffusion


@pytest.fixture
def pair(root, small_clip):
    return load_pair(root, ("flat", "line"), load_backbone(small_clip).image_size)


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
