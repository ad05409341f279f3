"""The tables of baseline and oracle: what they average, that the oracles learn, what they leave alone."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tools.studies import oracle
from tools.studies.oracle import MARKS, baseline_table, cluster_table, main, oracle_table, write_between_marks
from tools.studies.true_labels import Adapter, FullTuning, TrueLabelsConfig
from tpsnet.backbone import load_backbone
from tpsnet.data import load_pair
from tpsnet.evaluation import evaluate
from tpsnet.experiments import Closed, Variant, ZeroShot
from tpsnet.methods import Frozen, FrozenConfig, embeddings
from tpsnet.training import fit
from tpsnet.types import Embeddings

CLASSES, EACH = ("ant", "bee", "cat", "dog"), 4
ADAPTER, FULL = TrueLabelsConfig(60, 16, 3e-2), TrueLabelsConfig(16, 16, 1e-3)


@pytest.fixture
def root(tmp_path) -> Path:
    """Coarse patterns of the classes under coarse noise: something for labels to teach."""
    noise = np.random.default_rng(0)
    patterns = noise.integers(0, 90, (len(CLASSES), 2, 2, 3))
    for d, domain in enumerate(("flat", "line")):
        for pattern, name in zip(patterns, CLASSES, strict=True):
            folder = tmp_path / "images" / domain / name
            folder.mkdir(parents=True)
            for i in range(EACH):
                coarse = pattern + 60 * d + noise.integers(0, 100, pattern.shape)
                pixels = np.kron(coarse, np.ones((16, 16, 1))).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.png")
    return tmp_path / "images"


@pytest.fixture
def pair(root):
    return load_pair(root, ("flat", "line"), 32)


def mean_ap(method, pair) -> float:
    both = embeddings(method, pair)
    return sum(evaluate(*way, ks=(1,)).mean_ap for way in (both, both[::-1])) / 2


def trained(kind, cfg, small_clip, pair):
    method = kind(load_backbone(small_clip), cfg)
    method.oracle = pair.class_rows
    fit(method, pair.images)
    return method


@pytest.mark.parametrize(("kind", "cfg"), [(Adapter, ADAPTER), (FullTuning, FULL)])
def test_the_oracle_learns_from_the_labels(kind, cfg, small_clip, pair):
    before = Frozen(load_backbone(small_clip), FrozenConfig())
    before.prepare(pair.images)
    assert mean_ap(trained(kind, cfg, small_clip, pair), pair) > mean_ap(before, pair) + 5


@pytest.mark.parametrize(("kind", "cfg"), [(Adapter, ADAPTER), (FullTuning, FULL)])
def test_without_an_epoch_the_oracle_is_the_baseline(kind, cfg, small_clip, pair):
    method = kind(load_backbone(small_clip), cfg)
    method.oracle = pair.class_rows
    method.prepare(pair.images)
    before = Frozen(load_backbone(small_clip), FrozenConfig())
    torch.testing.assert_close(method.embed(pair.images[0]), before.embed(pair.images[0]))
    assert len(method.prototypes) == len(CLASSES)


def test_every_pair_is_judged_under_both_protocols(root, small_clip):
    """Three quarters of the classes train; the rows of the unseen ones are of the others."""
    source = oracle.Source(root, small_clip)
    jobs = oracle.oracle_jobs(source, (("flat", "line"),))
    assert [job.arguments[1].name for job in jobs] == 2 * ["baseline", "adapter", "full"]
    closed, zero_shot = jobs[0].arguments[3], jobs[3].arguments[3]
    assert isinstance(closed, Closed) and isinstance(zero_shot, ZeroShot)
    assert len(zero_shot.unseen) == 1 and len({job.key for job in jobs}) == 6
    variant = Variant("adapter", "adapter", ADAPTER, oracle=True)
    found = oracle.judge(source, variant, ("flat", "line"), zero_shot)
    facts = [d["card"] for d in found["directions"] if d["kind"] == "unseen"]
    assert [(f["n_query"], f["n_classes"]) for f in facts] == 2 * [(EACH, 1)]


def row(name: str, query: str, gallery: str, values: tuple, kind: str = "all") -> dict:
    metrics = dict(zip(("P@1", "P@5", "mAP"), values, strict=True))
    way = {"query": query, "gallery": gallery, "kind": kind, "metrics": metrics}
    way |= {"reranked": {"diffusion": dict.fromkeys(metrics, 99.0)}, "card": {"seeds": []}}
    return {"name": name, "seed": 0, "pair": [query, gallery], "protocol": "closed", "directions": [way]}


def cells(text: str) -> dict[str, list[str]]:
    lines = [[c.strip(" *") for c in line.split("|")[1:-1]] for line in text.split("\n")]
    return {line[0]: line[1:] for line in lines if line[0] != "---"}


def test_group_means_are_means_of_their_directions(rng):
    domains, names = ("flat", "line", "shaded", "solid"), ("frozen CLIP", "frozen CLIP, centred")
    ways = [(a, b) for a in domains for b in domains if a != b]
    values = {(n, *way): 100 * torch.rand(3, generator=rng) for n in names for way in ways}
    found = cells(baseline_table([row(*key, v.tolist()) for key, v in values.items()]))
    assert found.pop("direction") == ["P@1", "P@5", "mAP", "centred P@1", "centred P@5", "centred mAP"]
    assert len(found) == 12 + 4
    whole = {way: torch.cat([values[name, *way] for name in names]) for way in ways}
    assert [float(v) for v in found["line → flat"]] == pytest.approx(whole["line", "flat"].tolist(), abs=0.06)
    for name, size, mono in (
        ("mean, colour → colour", 2, 0),
        ("mean, line or solid ↔ colour", 8, 1),
        ("mean, line ↔ solid", 2, 2),
    ):
        group = [v for way, v in whole.items() if sum(d in ("line", "solid") for d in way) == mono]
        assert len(group) == size
        expected = torch.stack(group).mean(dim=0).tolist()
        assert [float(v) for v in found[name]] == pytest.approx(expected, abs=0.06)
    assert "mean of 12" in found


def test_the_oracle_table_has_a_column_for_each_method_and_part():
    rows = [
        row(name, *way, (0.0, 0.0, value + 2 * n), kind)
        for way in (("flat", "line"), ("line", "flat"))
        for kind, value in (("all", 10.0), ("unseen", 20.0), ("generalised", 90.0))
        for n, name in enumerate(("baseline", "full"))
    ]
    for entry in rows:
        entry["pair"] = ["flat", "line"]
    rows[0]["directions"][0]["metrics"]["mAP"] = 14.0  # the other direction has 10
    found = cells(oracle_table(rows))
    assert found["pair, mAP"] == ["baseline", "full", "unseen: baseline", "unseen: full"]
    assert found["flat ↔ line"] == ["12.0", "12.0", "20.0", "22.0"]


def test_clusters_and_names():
    """Perfect clusters have NMI 1; the texts of the last four classes point at one another."""
    labels = torch.arange(8).repeat_interleave(6)
    names, paths = tuple(f"thing_{i}" for i in range(8)), (Path("a.webp"),) * 48

    class Text:
        def encode_text(self, texts: list[str]) -> torch.Tensor:
            assert texts[3] == "a picture of a thing 3"
            return torch.eye(8)[[0, 1, 2, 3, 5, 6, 7, 4]]

    perfect = Embeddings("flat", torch.eye(8)[labels], labels, names, paths)
    assert cells(cluster_table(Text(), [perfect]))["flat"] == ["1.00", "50.0"]


def test_only_the_marked_part_is_replaced(tmp_path):
    card = tmp_path / "DATA.md"
    card.write_text(f"before\n{MARKS[0]}\nold\n{MARKS[1]}\nafter\n")
    write_between_marks(card, "new")
    assert card.read_text() == f"before\n{MARKS[0]}\nnew\n{MARKS[1]}\nafter\n"
    assert list(tmp_path.iterdir()) == [card]


def test_the_command_fills_the_card_and_goes_on_from_its_rows(
    root, small_clip, tmp_path, monkeypatch, capsys
):
    source, judged = oracle.Source(root, small_clip), []
    monkeypatch.setattr(oracle, "embedded_root", lambda: root)
    monkeypatch.setattr(oracle, "Source", lambda root: source)
    original = oracle.judge
    monkeypatch.setattr(oracle, "judge", lambda *args: judged.append(args) or original(*args))
    monkeypatch.setattr(oracle, "VARIANTS", oracle.VARIANTS[:1])
    card = tmp_path / "DATA.md"
    card.write_text(f"{MARKS[0]}\n{MARKS[1]}\n")
    for _ in range(2):
        main((("flat", "line"),), tmp_path / "runs", card, workers=1)
    assert len(judged) == 2  # closed and unseen, once
    text = card.read_text()
    assert "| flat → line |" in text and "| flat ↔ line |" in text and "k-means NMI" in text
