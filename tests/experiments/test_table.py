"""The table: which rows it has, which it reuses, and what may not be mixed."""

import dataclasses
import sys
from dataclasses import replace

import pytest
from pictures import write_tree

from tpsnet.errors import InputError
from tpsnet.evaluation import evaluate, load_saved
from tpsnet.experiments import Source, Table, Variant, all_pairs, chain, fill, table, variants
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


def test_unknown_domains_are_named_before_any_training(small, trained):
    with pytest.raises(InputError, match="lime"):
        fill(replace(small, pairs=(("flat", "line"), ("flat", "lime"))))
    assert not trained


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
