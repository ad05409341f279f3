"""Held-out seen objects: no unseen class among them, how they are scored, and that what ships is shown."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import write_tree
from PIL import Image

from tools.studies import choose_clair
from tools.studies.choose_clair import AXES, SHARES, SHIPPED, configs, held_out, job, judge, page, reshared
from tpsnet.backbone import load_backbone
from tpsnet.data import image_folder, load_pair
from tpsnet.experiments import Source
from tpsnet.types import Embeddings

NAMES = ("ant", "bee", "cat", "dog", "elk", "fox")


@pytest.fixture
def root(tmp_path):
    """Noise, so that the scores are not all perfect."""
    folder = write_tree(tmp_path / "images", {"flat": NAMES, "line": NAMES}, each=2)
    noise = np.random.default_rng(0)
    for path in sorted(folder.rglob("*.png")):
        Image.fromarray(noise.integers(0, 256, (32, 32, 3), np.uint8)).save(path)
    return folder


@pytest.fixture
def domains(root):
    return tuple(image_folder(root, ("flat", "line")).values())


def test_unseen_classes_are_in_neither_part(domains, root, monkeypatch):
    monkeypatch.setattr(choose_clair, "HELD_OUT", 2)
    monkeypatch.setattr(choose_clair, "KS", (1,))
    protocol = held_out(domains, ("ant", "bee", "cat", "dog"), ["bee", "fox"])
    seen, drawn = set(protocol.seen), set(protocol.unseen)
    assert seen | drawn == {"ant", "cat", "dog", "elk"} and not seen & drawn
    assert len(drawn) == 2 and drawn < {"ant", "cat", "dog"}
    arranged = protocol.arrange(load_pair(root, ("flat", "line"), 32), 0)
    assert set(arranged.train.class_names) == seen and set(arranged.test.class_names) == seen | drawn
    draws = {held_out(domains, NAMES, ["bee"], seed).unseen for seed in range(5)}
    assert len(draws) > 1 and held_out(domains, NAMES, ["bee"], 1) == held_out(domains, NAMES, ["bee"], 1)


def test_one_axis_at_a_time():
    shipped, *others = configs()
    assert shipped == SHIPPED
    for config in others:
        (axis,) = (axis for axis in AXES if getattr(config, axis) != getattr(SHIPPED, axis))
        assert config == replace(SHIPPED, **{axis: getattr(config, axis)})
    assert len(others) == sum(len(values) - 1 for values in AXES.values())


def test_a_study_scores_the_held_out_objects_by_share(root, domains, small_clip, monkeypatch):
    """Its result at the trained share is what a run of that config scores; the others differ."""
    monkeypatch.setattr(choose_clair, "HELD_OUT", 3)
    monkeypatch.setattr(choose_clair, "KS", (1,))
    source = Source(root, small_clip)
    monkeypatch.setattr(choose_clair, "SOURCE", source)
    protocol, names = held_out(domains, NAMES, ["fox"]), ("flat", "line")
    config = replace(SHIPPED, text_epochs=1, epochs=1, map_lr=0.05)
    asked = job(config, names, protocol, source.backbone())
    scores = judge(*asked.arguments)["mAP"]
    assert list(map(float, scores)) == list(SHARES)
    pair = source.pair(names, protocol, 32)
    done = choose_clair.run(asked.arguments[0], pair, protocol, 0, backbone=source.backbone())
    unseen = [d for d in done.row["directions"] if d["kind"] == "unseen"]
    columns = [d["metrics"] for d in unseen], [d["reranked"]["diffusion"] for d in unseen]
    expected = [sum(metrics["interpolated mAP"] for metrics in column) / 2 for column in columns]
    assert scores[str(SHIPPED.trained_share)] == pytest.approx(expected, abs=1e-6)
    assert len(set(map(tuple, scores.values()))) > 1


def test_a_result_is_known_by_all_that_it_depends_on(root, domains, monkeypatch, small_clip):
    monkeypatch.setattr(choose_clair, "SOURCE", Source(root))
    backbone, protocol = load_backbone(), held_out(domains, NAMES, ["bee"])
    before = job(SHIPPED, ("flat", "line"), protocol, backbone)
    assert before.key == job(SHIPPED, ("flat", "line"), protocol, backbone).key
    others = [
        job(replace(SHIPPED, temperature=0.3), ("flat", "line"), protocol, backbone),
        job(SHIPPED, ("line", "flat"), protocol, backbone),
        job(SHIPPED, ("flat", "line"), held_out(domains, NAMES, ["ant"]), backbone),
        job(SHIPPED, ("flat", "line"), protocol, load_backbone(small_clip)),
    ]
    monkeypatch.setattr(choose_clair, "SHARES", (0.5,))
    others.append(job(SHIPPED, ("flat", "line"), protocol, backbone))
    assert len({before.key, *(other.key for other in others)}) == 6


def test_another_share_of_the_same_halves(rng):
    z = [torch.nn.functional.normalize(torch.randn(3, 4, generator=rng), dim=1) for _ in range(2)]
    part = Embeddings(
        "flat", torch.cat([0.6 * z[0], 0.8 * z[1]], 1), torch.arange(3), NAMES, (Path("a"),) * 3
    )
    found = reshared(part, 0.36).vectors
    torch.testing.assert_close(found, torch.cat([0.8 * z[0], 0.6 * z[1]], 1))


def test_the_page_shows_each_axis_with_what_ships_in_bold():
    found = {config: {str(w): [10.0 * n + w, 50.0 + n] for w in SHARES} for n, config in enumerate(configs())}
    text = page((("flat", "line"),), found)
    assert text.count("**") == 2 * (len(AXES) + 1)
    share = SHIPPED.trained_share
    assert f"| **{share:g}** | {share:.2f} | 50.00 |" in text
    assert f"| 100 | {10 + share:.2f} | 51.00 |" in text


def test_the_shipped_settings_are_on_the_page():
    text = (Path(__file__).parents[3] / "docs" / "clair_settings.md").read_text(encoding="utf-8")
    for axis in ("trained_share", *AXES):
        rows = text.split(f"| `{axis}` |")[1].split("\n\n")[0].splitlines()[2:]
        bold = [float(row.split("**")[1]) for row in rows if "**" in row]
        assert bold == [getattr(SHIPPED, axis)]
