"""The commands that fill tables: which rows they ask for, and what they refuse before any training."""

import pytest

from tpsnet import cli, table
from tpsnet.data import embedded_root, embedded_unseen
from tpsnet.recipes import FLOORS, HEADROOM, UNIVERSAL, ZERO_SHOT


@pytest.fixture
def asked(monkeypatch):
    """What ``fill_table`` is asked for; every row is made of nothing."""
    calls = []
    card = {
        "seeds": (0,),
        "label_spaces": "closed",
        "n_query": 1,
        "n_gallery": 1,
        "n_classes": 1,
        "n_lone": 0,
    }

    def fill(cfg):
        from tpsnet.evaluation import ProtocolCard

        calls.append(cfg)
        names = {"query_domain": "flat", "gallery_domain": "line"}
        whole = vars(ProtocolCard(**card, **names, ks=(1,), engine="torch", ties="none"))
        metrics = dict.fromkeys(
            ("P@1", "P@5", "P@15", "plain P@1", "plain P@5", "plain P@15", "mAP@All"), 1.0
        )
        metrics |= dict.fromkeys(("mAP@all", "mAP@200", "Prec@100", "Prec@200"), 1.0)
        there = {"query": "flat", "gallery": "line", "kind": "unseen", "card": whole, **metrics}
        row = {
            "seed": 0,
            "pair": ["flat", "line"],
            "setting": cfg.settings[0],
            "directions": [there, there | {"kind": "generalised"}],
        }
        return [{"row": name, **row} for name in cfg.names]

    monkeypatch.setattr(table, "fill_table", fill)
    return calls


def test_universal_asks_for_every_setting_and_then_for_the_ablation(asked, root, tmp_path):
    out = tmp_path / "out"
    assert cli.main(["universal", "--root", str(root), "--folder", str(out), "--workers", "1"]) == 0
    first, second = asked
    assert first.names == (*FLOORS, "TPSNet", "UEM") and first.settings == ("closed", "partial", "open")
    assert first.pairs == (("flat", "line"), ("line", "solid")) and first.seeds == (0, 1, 2)
    assert second.names == tuple(UNIVERSAL) and (second.settings, second.seeds) == (("open",), (0, 1))
    assert "## Ablation" in (out / "universal.md").read_text()


def test_without_the_ablation_and_with_a_backbone_that_has_no_texts(asked, root, tmp_path):
    line = ["universal", "--root", str(root), "--folder", str(tmp_path), "--no-ablation", "--model", "moco:x"]
    assert cli.main([*line, "--settings", "closed", "--pairs", "line:flat"]) == 0
    (only,) = asked
    assert only.names == (*FLOORS, "UEM") and only.settings == ("closed",)
    assert only.pairs == (("line", "flat"),) and only.model == "moco:x"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (["table", "--model", "moco:x"], "need a CLIP"),
        (["table", "--seeds"], "at least one seed"),
        (["universal", "--settings"], "at least one label space"),
        (["universal", "--pairs", "flat"], "FIRST:SECOND"),
    ],
)
def test_bad_input_is_refused_before_any_row(line, message, asked, root, capsys):
    assert cli.main([*line, "--root", str(root)]) == 2
    assert message in capsys.readouterr().err and not asked


def test_the_table_asks_for_all_pairs_and_for_the_switches_on_two(asked, root, tmp_path):
    assert cli.main(["table", "--root", str(root), "--folder", str(tmp_path / "out")]) == 0
    first, second = asked
    assert len(first.pairs) == 3 and first.settings == (None,) and "TPSNet, no text prior" in first.names
    assert second.pairs == first.pairs[:2] and second.seeds == (0,) and second.names[0] == "TPSNet"


def test_zero_shot_asks_for_the_embedded_split(asked, tmp_path):
    assert cli.main(["zero-shot", "--folder", str(tmp_path), "--keep"]) == 0
    first, second, headroom, others = asked
    assert first.root == embedded_root(further=True) and first.unseen == embedded_unseen()
    assert first.names == (*FLOORS, "CLAIR") and first.settings == ("zero-shot",) and first.keep
    assert len(first.pairs) == 4 and second.names == tuple(ZERO_SHOT) and second.seeds == (0, 1, 2)
    assert (headroom.names, headroom.seeds) == (tuple(HEADROOM), (0,))
    assert (others.names, others.seeds, others.pairs) == (("TPSNet", "UEM"), (0,), first.pairs)
    assert "## CLAIR without its parts" in (tmp_path / "zero_shot.md").read_text()


def test_zero_shot_reads_the_names_of_unseen_classes(asked, root, tmp_path, capsys):
    names = tmp_path / "unseen.txt"
    names.write_text("bee\n\n cat \n")
    line = ["zero-shot", "--root", str(root), "--folder", str(tmp_path / "out"), "--no-ablation"]
    assert cli.main([*line, "--unseen", str(names)]) == 0
    assert asked[0].unseen == ("bee", "cat") and [c.names for c in asked[1:]] == [("TPSNet", "UEM")]
    assert cli.main(line) == 0 and asked[2].unseen is None and not asked[2].keep
    names.write_text("\n")
    assert cli.main([*line, "--unseen", str(names)]) == 2 and "holds no class name" in capsys.readouterr().err
    assert cli.main([*line, "--unseen", str(tmp_path)]) == 2 and "cannot read" in capsys.readouterr().err
    assert len(asked) == 4
