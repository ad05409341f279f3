"""The commands that fill tables: which rows they ask for, and what they refuse before any training."""

import pytest

from tpsnet import cli, table
from tpsnet.recipes import FLOORS, UNIVERSAL


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
        there = {"query": "flat", "gallery": "line", "card": whole, **metrics}
        row = {"seed": 0, "pair": ["flat", "line"], "setting": cfg.settings[0], "directions": [there, there]}
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
