"""The table: its rows against direct calls, what a kill costs, and what may not be mixed."""

import json
from dataclasses import replace

import pytest
from pictures import write_tree

from tpsnet import recipes, table
from tpsnet.backbone import load_backbone
from tpsnet.evaluation import evaluate, load_saved
from tpsnet.methods import Frozen, TPSNetConfig
from tpsnet.pair import embeddings, load_pair
from tpsnet.recipes import FLOORS, SWITCHES, TRAINED
from tpsnet.table import TableConfig, all_pairs, chain, fill_table
from tpsnet.types import InputError


@pytest.fixture
def cfg(root, tmp_path, small_clip):
    return TableConfig(tmp_path / "table", root, (("flat", "line"),), (0, 1), small_clip)


def test_every_row_once_with_its_card(cfg, short):
    rows = fill_table(cfg)
    assert [(r["row"], r["seed"]) for r in rows] == [
        *((name, 0) for name in FLOORS),
        *((name, seed) for name in TRAINED for seed in (0, 1)),
    ]
    for row in rows:
        (there, back) = row["directions"]
        assert (there["query"], there["gallery"]) == ("flat", "line") == (back["gallery"], back["query"])
        assert there["card"]["seeds"] == ((row["seed"],) if row["row"] in TRAINED else ())
        assert 0 <= there["mAP@All"] <= 100


def test_the_floor_is_the_floor(cfg, short, small_clip):
    backbone = load_backbone(small_clip)
    pair = load_pair(cfg.root, ("flat", "line"), backbone.image_size)
    query, gallery = embeddings(Frozen(backbone), pair)
    expected = evaluate(query, gallery, ks=(1, 5))
    there = fill_table(cfg)[0]["directions"][0]
    assert there["mAP@All"] == expected.mean_ap and there["P@5"] == expected.precision[5]


def test_a_killed_table_goes_on(cfg, short, monkeypatch):
    whole = fill_table(cfg)
    file = cfg.folder / "rows.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:4]) + lines[4][:40])  # killed in the middle of a line
    ran = []
    original = table.run_row
    monkeypatch.setattr(table, "run_row", lambda *a, **k: ran.append(a[0]) or original(*a, **k))
    again = fill_table(cfg)
    assert ran == [row["row"] for row in whole[3:]]
    assert json.loads(json.dumps(again)) == json.loads(json.dumps(whole))
    assert [json.loads(line) for line in file.read_text().splitlines()][1:] == json.loads(json.dumps(whole))


def test_two_workers_fill_the_same_rows(cfg, root, tmp_path, small_clip, capfd):
    some = {"pairs": all_pairs(root)[:2], "names": ("frozen CLIP", "TPSNet"), "seeds": (0,)}
    alone = fill_table(replace(cfg, **some))
    capfd.readouterr()
    together = fill_table(replace(cfg, **some, folder=tmp_path / "other", workers=2))
    assert [(r["row"], r["pair"]) for r in together] == [(r["row"], list(r["pair"])) for r in alone]
    for one, other in zip(alone[::2], together[::2], strict=True):  # training depends on the thread count
        assert other["row"] == "frozen CLIP"
        for here, there in zip(one["directions"], other["directions"], strict=True):
            assert there["mAP@All"] == pytest.approx(here["mAP@All"])
    shown = capfd.readouterr().out
    assert "table 100 %" in shown and "network" not in shown
    assert len((tmp_path / "other" / "rows.jsonl").read_text().splitlines()) == 1 + 4


def test_what_a_worker_cannot_do_reaches_the_caller(cfg, monkeypatch):
    monkeypatch.setattr(table, "load_pair", lambda *_: None)  # here only: the worker loads by itself
    with pytest.raises(InputError, match="lime"):
        fill_table(replace(cfg, pairs=(("flat", "lime"), ("flat", "line")), workers=2))


def test_every_switch_is_another_training(cfg, short, monkeypatch):
    made = []
    original = recipes.TPSNet
    monkeypatch.setattr(recipes, "TPSNet", lambda *args: made.append(args[-1]) or original(*args))
    names = ("TPSNet", *SWITCHES)
    assert [r["row"] for r in fill_table(replace(cfg, names=names, seeds=(0,)))] == list(names)
    assert len(set(made)) == len(names) and all(isinstance(c, TPSNetConfig) for c in made)


def test_settings_have_rows_of_their_own(cfg, short):
    """Under a setting one direction is scored, every row for each draw, with verdicts."""
    cfg = replace(cfg, names=("frozen CLIP", "UEM"), settings=("closed", "open"))
    rows = fill_table(cfg)
    assert [(r["setting"], r["row"], r["seed"]) for r in rows] == [
        (setting, name, seed) for setting in cfg.settings for name in cfg.names for seed in (0, 1)
    ]
    assert not (cfg.folder / "embeddings").exists()
    for row in rows:
        (there,) = row["directions"]
        assert (there["query"], there["gallery"]) == ("flat", "line")
        spaces = f"{row['setting']}, drawn by seed {row['seed']}"
        assert there["card"]["label_spaces"] == spaces and 0 <= there["shared_accuracy"] <= 100
        assert there["card"]["n_lone"] == {"closed": 0, "open": 10}[row["setting"]]
    assert json.loads(json.dumps(fill_table(cfg))) == json.loads(json.dumps(rows))  # now from the file


def test_zero_shot_rows_by_a_list_and_by_a_draw(cfg, short):
    """Floors depend on the seed only where it draws the unseen classes."""
    # five pictures a class are fewer than the usual depths
    cfg = replace(cfg, names=("frozen CLIP", "CLAIR"), settings=("zero-shot",))
    listed = fill_table(replace(cfg, unseen=("bee",), keep=True))
    assert [(r["row"], r["seed"]) for r in listed] == [("frozen CLIP", 0), ("CLAIR", 0), ("CLAIR", 1)]
    assert all(len(r["directions"]) == 4 and r["setting"] == "zero-shot" for r in listed)
    kept = load_saved(cfg.folder / "embeddings" / "flat-line-seed0")["zero-shot"]
    assert list(kept) == ["frozen CLIP", "CLAIR"]
    assert {part.class_names[y] for part in kept["CLAIR"] for y in part.labels} == {"bee"}
    gone = cfg.folder / "embeddings" / "flat-line-seed1" / "zero-shot" / "CLAIR" / "gallery.safetensors"
    gone.unlink()
    again = fill_table(replace(cfg, unseen=("bee",), keep=True))  # the one row, which comes out alike
    assert gone.is_file() and json.loads(json.dumps(again)) == json.loads(json.dumps(listed))
    with pytest.raises(InputError, match="another unseen"):
        fill_table(replace(cfg, unseen=("ant",)))
    with pytest.raises(InputError, match="no unseen class"):  # a quarter of three is none
        fill_table(replace(cfg, folder=cfg.folder / "drawn"))


def test_rows_of_another_clip_are_not_mixed_in(cfg, short, tmp_path):
    from conftest import write_clip

    cfg = replace(cfg, names=("frozen CLIP",))
    rows = fill_table(cfg)
    moved = write_clip(tmp_path / "moved", "vit")  # the same weights at another address
    assert json.loads(json.dumps(fill_table(replace(cfg, model=moved)))) == json.loads(json.dumps(rows))
    other = replace(cfg, model=write_clip(tmp_path / "other", "resnet"))
    with pytest.raises(InputError, match="another backbone"):
        fill_table(other)


def test_a_row_without_its_last_brackets_is_made_anew(cfg, short):
    some = replace(cfg, names=("frozen CLIP",))
    whole = fill_table(some)
    file = cfg.folder / "rows.jsonl"
    for cut in (1, 2, 3):
        file.write_text(file.read_text().rstrip()[:-cut])
        assert json.loads(json.dumps(fill_table(some))) == json.loads(json.dumps(whole))


def test_a_single_domain_makes_no_table(tmp_path):
    root = write_tree(tmp_path / "one", {"flat": ("ant", "bee")})
    for pairs in (all_pairs, chain):
        with pytest.raises(InputError, match="a single domain"):
            pairs(root)


def test_all_pairs(root):
    assert all_pairs(root) == (("flat", "line"), ("flat", "solid"), ("line", "solid"))
    assert chain(root) == (("flat", "line"), ("line", "solid"))
