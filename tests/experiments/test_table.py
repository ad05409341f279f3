"""The table: which rows it has, which it reuses, and what may not be mixed."""

import dataclasses
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from pictures import write_tree

import tpsnet
from tpsnet.data import Spelling
from tpsnet.errors import InputError, RowsFailed
from tpsnet.evaluation import evaluate, load_saved
from tpsnet.experiments import (
    PROTOCOLS,
    VARIANTS,
    Experiment,
    Source,
    Table,
    Variant,
    all_pairs,
    chain,
    fill,
    table,
    variants,
)
from tpsnet.jobs import Cluster
from tpsnet.methods import Frozen, FrozenConfig, TPSNetConfig, embeddings


@pytest.fixture
def small(root, tmp_path, small_clip, short, protocols):
    rows = (short["frozen CLIP"], short["frozen CLIP, centred"], short["TPSNet"])
    return Table(
        tmp_path / "table",
        Source(root, small_clip),
        (("flat", "line"),),
        (0, 1),
        rows,
        protocols=(protocols["closed"],),
    )


@pytest.fixture
def trained(monkeypatch):
    """Names of the variants that are run."""
    names, original = [], table.run
    monkeypatch.setattr(
        table, "run", lambda variant, *a, **k: names.append(variant.name) or original(variant, *a, **k)
    )
    return names


def test_every_row_once_with_its_card(small):
    rows = fill(small)
    assert [(r["name"], r["seed"]) for r in rows] == [
        ("frozen CLIP", 0),
        ("frozen CLIP, centred", 0),
        ("TPSNet", 0),
        ("TPSNet", 1),
    ]
    for row in rows:
        there, back = row["directions"]
        assert (there["query"], there["gallery"]) == ("flat", "line") == (back["gallery"], back["query"])
        assert there["card"]["seeds"] == ([row["seed"]] if row["name"] == "TPSNet" else [])
        assert 0 <= there["metrics"]["mAP"] <= 100


def test_the_baseline_is_the_baseline(small, backbone, pair):
    query, gallery = embeddings(Frozen(backbone, FrozenConfig()), pair)
    assert fill(small)[0]["directions"][0]["metrics"] == evaluate(query, gallery, ks=(1, 5)).metrics()


def test_an_edited_config_trains_its_own_row_anew_and_no_other(small, trained):
    """Also back again: the first result is still there."""
    first = fill(small)
    assert trained == ["frozen CLIP", "frozen CLIP, centred", "TPSNet", "TPSNet"]
    trained.clear()
    assert fill(small) == first and not trained
    edited = Variant("TPSNet", "TPSNet", replace(small.variants[-1].config, smoothing=0.3))
    other = replace(small, variants=(*small.variants[:2], edited))
    changed = fill(other)
    assert trained == ["TPSNet", "TPSNet"] and changed[:2] == first[:2]
    assert changed[2]["config"]["smoothing"] == 0.3 and changed[2] != first[2]
    trained.clear()
    assert fill(small) == first and not trained


def test_a_new_metric_version_is_another_row(small, trained, monkeypatch):
    small = replace(small, variants=small.variants[:1])
    fill(small)
    monkeypatch.setattr(sys.modules["tpsnet.experiments.run"], "METRIC_VERSION", 99)
    fill(small)
    assert trained == ["frozen CLIP"] * 2


def test_protocols_have_rows_of_their_own(small, protocols, short):
    """Where the seed draws classes, a baseline has a row for each."""
    asked = replace(
        small,
        variants=(short["frozen CLIP"], short["UEM"]),
        protocols=tuple(protocols[p] for p in ("closed", "open", "zero-shot")),
    )
    rows = fill(asked)
    assert [(r["protocol"], r["name"], r["seed"]) for r in rows] == [
        *(("closed", "frozen CLIP", 0), ("closed", "UEM", 0), ("closed", "UEM", 1)),
        *(("open", n, s) for n in ("frozen CLIP", "UEM") for s in (0, 1)),
        *(("zero-shot", "frozen CLIP", 0), ("zero-shot", "UEM", 0), ("zero-shot", "UEM", 1)),
    ]
    assert [len(r["directions"]) for r in rows] == [2] * 3 + [1] * 4 + [4] * 3
    assert not (asked.folder / "embeddings").exists()


def test_kept_embeddings_that_are_gone_are_made_again(small, short, protocols, trained):
    asked = replace(
        small, variants=(short["frozen CLIP"], short["CLAIR"]), protocols=(protocols["zero-shot"],), keep=True
    )
    rows = fill(asked)
    kept = load_saved(asked.folder / "embeddings" / "flat-line-seed0")["zero-shot"]
    assert set(kept) == {"frozen CLIP", "CLAIR"}
    assert {part.class_names[y] for part in kept["CLAIR"] for y in part.labels} == {"bee"}
    gone = asked.folder / "embeddings" / "flat-line-seed1" / "zero-shot" / "CLAIR" / "gallery.safetensors"
    gone.unlink()
    trained.clear()
    again = fill(asked)
    assert gone.is_file() and trained == ["CLAIR"] and again == rows


def test_other_weights_make_other_rows_and_the_same_at_another_address_do_not(small, trained, tmp_path):
    from conftest import write_clip

    small = replace(small, variants=small.variants[:1])
    rows = fill(small)
    moved = Source(small.source.root, write_clip(tmp_path / "moved", "vit"))
    assert fill(replace(small, source=moved)) == rows and trained == ["frozen CLIP"]
    other = Source(small.source.root, write_clip(tmp_path / "other", "resnet"))
    assert fill(replace(small, source=other)) != rows and trained == ["frozen CLIP"] * 2


def test_rows_on_other_images_are_made_anew(small, trained, root, tmp_path):
    """As when more kinds of files count as images than before, at the same place."""
    shutil.copytree(root, tmp_path / "images")
    table = replace(
        small, source=replace(small.source, root=tmp_path / "images"), variants=small.variants[:2]
    )
    fill(table)
    first = next((tmp_path / "images/line").rglob("*.png"))
    shutil.copy(first, first.with_name("another.png"))
    rows = fill(table)
    assert trained == 2 * ["frozen CLIP", "frozen CLIP, centred"]
    sizes = {d["gallery"]: d["card"]["n_gallery"] for row in rows for d in row["directions"]}
    assert sizes["line"] == sizes["flat"] + 1


def test_other_class_names_make_other_rows_and_a_stricter_check_does_not(small, trained, tmp_path):
    file = tmp_path / "names.txt"
    file.write_text("bee = cat\n")
    small = replace(small, variants=small.variants[:1])
    (row,) = fill(small)
    assert "classes" not in row["made_with"], "rows that were made before there was a file are used again"
    source = replace(small.source, spelling=Spelling(strict=True))
    assert fill(replace(small, source=source)) == [row] and trained == ["frozen CLIP"]
    named = replace(small, source=replace(small.source, spelling=Spelling(file)))
    (other,) = fill(named)
    assert [r["directions"][0]["card"]["n_classes"] for r in (row, other)] == [3, 2]
    assert fill(named) == [other] and trained == ["frozen CLIP"] * 2
    file.write_text("bee = ant\n")
    assert fill(named) != [other] and trained == ["frozen CLIP"] * 3


def test_unknown_domains_are_named_before_any_training(small, trained):
    with pytest.raises(InputError, match="lime"):
        fill(replace(small, pairs=(("flat", "line"), ("flat", "lime"))))
    assert not trained


def test_a_root_that_is_a_loop_of_links_is_one_line(small, tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(InputError, match="loop: cannot read this folder"):
        fill(replace(small, source=replace(small.source, root=tmp_path / "loop")))


def test_variants_by_name():
    (found,) = variants("TPSNet")
    assert found.config == TPSNetConfig() and dataclasses.is_dataclass(found)
    with pytest.raises(InputError, match="no variant 'TPSnet'"):
        variants("TPSnet")


def test_a_single_domain_makes_no_table(tmp_path):
    root = write_tree(tmp_path / "one", {"flat": ("ant", "bee")})
    for pairs in (all_pairs, chain):
        with pytest.raises(InputError, match="a single domain"):
            pairs(root)


def test_all_pairs(root):
    assert all_pairs(root) == (("flat", "line"), ("flat", "solid"), ("line", "solid"))
    assert chain(root) == (("flat", "line"), ("line", "solid"))


def test_rows_of_before_are_reused_and_another_preprocessing_is_another_row(
    small, trained, small_clip, tmp_path
):
    """Rows of before say neither preprocessing, where it was plain, nor activation, or the latter alone."""
    frozen = replace(small, variants=small.variants[:1])
    fill(frozen)
    rows = frozen.folder / "rows.jsonl"
    row = json.loads(rows.read_text())
    assert row["made_with"].pop("quick_gelu") is False
    rows.write_text(json.dumps(row) + "\n")
    fill(frozen)
    assert row["made_with"].pop("preprocessing").startswith("resize 32, mean 0.4 0.5 0.6")
    rows.write_text(json.dumps(row) + "\n")
    fill(frozen)
    assert trained == ["frozen CLIP"]
    folder = Path(shutil.copytree(small_clip.removeprefix("local-dir:"), tmp_path / "clip"))
    config = (folder / "open_clip_config.json").read_text()
    (folder / "open_clip_config.json").write_text(config.replace("shortest", "squash"))
    squashed = replace(frozen, source=Source(frozen.source.root, f"local-dir:{folder}"))
    fill(squashed)
    fill(squashed)
    fill(frozen)
    assert trained == ["frozen CLIP"] * 2
    (folder / "open_clip_config.json").write_text(
        config.replace('"model_cfg": {', '"model_cfg": {"quick_gelu": true, ')
    )
    for source in (frozen.source, squashed.source, squashed.source):  # now with QuickGELU and not squashed
        fill(replace(frozen, source=source, folder=tmp_path / "activations"))
    assert trained == ["frozen CLIP"] * 4


def test_a_row_that_no_page_can_be_made_of_is_found_before_any_training(small, trained):
    frozen = replace(small, variants=small.variants[:1])
    fill(frozen)
    rows = frozen.folder / "rows.jsonl"
    rows.write_text(json.dumps(json.loads(rows.read_text()) | {"directions": "two"}) + "\n")
    with pytest.raises(InputError, match=r"rows\.jsonl: row\.directions: .*not 'two'"):
        fill(small)
    assert trained == ["frozen CLIP"]


def test_a_row_that_fails_leaves_the_others_and_is_tried_again(small, trained, monkeypatch):
    rows, run = replace(small, variants=small.variants[:2]), table.run

    def fail(variant, *given, **where):
        if variant.name == "frozen CLIP":
            raise InputError("one image too few")
        return run(variant, *given, **where)

    with monkeypatch.context() as patch, pytest.raises(RowsFailed) as caught:
        patch.setattr(table, "run", fail)
        fill(rows)
    (failure,), (row,) = caught.value.failures, caught.value.results
    assert (failure.title, failure.reason) == (
        "flat ↔ line, closed: frozen CLIP, seed 0",
        "one image too few",
    )
    assert row["name"] == "frozen CLIP, centred" and trained == ["frozen CLIP, centred"]
    assert fill(rows)[1] == row and trained == ["frozen CLIP, centred", "frozen CLIP"]


def test_every_row_comes_back_from_json_as_it_was():
    """Workers and clusters are told a row in JSON."""
    for variant in VARIANTS.values():
        for protocol in PROTOCOLS.values():
            row = Experiment(config=variant.config, protocol=protocol, source=Source(Path("x")), seed=3)
            again = Experiment.of(json.loads(json.dumps(row.values())), Path("row"))
            assert again == row and again.method == variant.method


def test_rows_from_a_cluster_are_the_same_as_from_this_machine(small, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(tpsnet.__file__).parents[1]))
    here = replace(small, variants=small.variants[:2])
    there = replace(
        here, folder=small.folder / "there", cluster=Cluster("local", cpus=1, memory=1), keep=True
    )
    assert fill(there) == fill(here)
    assert (there.folder / "embeddings/flat-line-seed0/closed").is_dir()
    assert not (there.folder / "cluster").exists()
