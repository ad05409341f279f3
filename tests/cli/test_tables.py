"""The commands that fill tables: which rows they ask for, and what they refuse before any training."""

from pathlib import Path

import pytest

from tpsnet import cli
from tpsnet.cli import machines, tables
from tpsnet.errors import Failure, InputError, RowsFailed
from tpsnet.experiments import BASELINES, ORACLE, TRAINED, UNIVERSAL, ZERO_SHOT
from tpsnet.jobs import Cluster


@pytest.fixture
def asked(monkeypatch):
    """The tables that ``fill`` is asked for; every row is made of nothing, and so is every page."""
    calls = []
    monkeypatch.setattr(machines, "fill", lambda table: calls.append(table) or [{}])
    for page in ("results_markdown", "universal_markdown", "zero_shot_markdown"):
        monkeypatch.setattr(tables, page, lambda *parts, page=page: f"{page} of {len(parts)}")
    return calls


def names(table) -> list[str]:
    return [variant.name for variant in table.variants]


def test_the_table_asks_for_all_pairs(asked, root, tmp_path):
    assert cli.main(["table", "--root", str(root), "--folder", str(tmp_path / "out")]) == 0
    (first,) = asked
    assert len(first.pairs) == 3 and [p.name for p in first.protocols] == ["closed"]
    assert names(first) == [*BASELINES, *TRAINED, "TPSNet, as printed"] and first.seeds == (0, 1, 2)
    assert (tmp_path / "out" / "results.md").read_text() == "results_markdown of 1"


def test_universal_asks_for_every_protocol_and_then_for_the_ablation(asked, root, tmp_path):
    out = tmp_path / "out"
    assert cli.main(["universal", "--root", str(root), "--folder", str(out), "--workers", "1"]) == 0
    first, second = asked
    assert names(first) == [*BASELINES, "TPSNet, not trained", "TPSNet", "UEM"]
    assert [p.name for p in first.protocols] == ["closed", "partial", "open"]
    assert first.pairs == (("flat", "line"), ("line", "solid")) and first.seeds == (0, 1, 2)
    assert names(second) == [*UNIVERSAL, "UEM, as printed"] and [p.name for p in second.protocols] == ["open"]
    assert second.seeds == (0, 1) and (out / "universal.md").is_file()


def test_without_the_ablation_and_with_a_backbone_that_has_no_texts(asked, root, tmp_path):
    line = ["universal", "--root", str(root), "--folder", str(tmp_path), "--no-ablation", "--model", "moco:x"]
    assert cli.main([*line, "--protocols", "closed", "--pairs", "line:flat"]) == 0
    (only,) = asked
    assert names(only) == [*BASELINES, "UEM"] and [p.name for p in only.protocols] == ["closed"]
    assert only.pairs == (("line", "flat"),) and only.source.model == "moco:x"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (["table", "--seeds"], "at least one seed"),
        (["table", "--workers", "0"], "workers = 0: give a whole number from 1"),
        (["table", "--workers", "2", "--cluster", "local"], "--workers is for this machine"),
        (["table", "--cluster-memory", "0"], "memory = 0: give a whole number from 1"),
        (["table", "--seeds", "-1"], "seeds = -1: give a whole number from 0"),
        (["table", "--ks", "1", "0"], "ks = 0: give a whole number from 1"),
        (["universal", "--protocols"], "at least one label space"),
        (["universal", "--pairs", "flat"], "FIRST:SECOND"),
    ],
)
def test_bad_input_is_refused_before_any_row(line, message, asked, root, capsys):
    assert cli.main([*line, "--root", str(root)]) == 2
    assert message in capsys.readouterr().err and not asked


def test_zero_shot_asks_for_the_embedded_images(asked, tmp_path):
    assert cli.main(["zero-shot", "--folder", str(tmp_path), "--keep"]) == 0
    first, second, oracle, others, coarse = asked
    (protocol,) = first.protocols
    (drawn,) = coarse.protocols  # its groups have other names than the unseen objects
    assert drawn.name == "zero-shot" and drawn.unseen is drawn.seen is None and drawn.drawn
    assert names(coarse) == [*BASELINES, "CLAIR", "CLAIR, not trained", "TPSNet", "UEM"]
    assert first.source.root is None and protocol.name == "zero-shot" and first.keep
    assert names(first) == [*BASELINES, "CLAIR"] and len(first.pairs) == 4
    assert names(second) == list(ZERO_SHOT) and second.seeds == (0, 1, 2)
    assert (names(oracle), oracle.seeds) == (list(ORACLE), (0,))
    assert (names(others), others.seeds, others.pairs) == (["TPSNet", "UEM"], (0,), first.pairs)


def test_the_embedded_images_have_a_second_table_of_nine_classes(asked, root, tmp_path):
    """On two pairs, in a folder of its own; images of one's own have none."""
    line = ["universal", "--folder", str(tmp_path), "--no-ablation"]
    assert cli.main(line) == 0 and cli.main(line) == 0
    for first, coarse in (asked[:2], asked[2:]):
        assert names(coarse) == names(first) and coarse.protocols == first.protocols
        assert coarse.pairs == first.pairs[:2] and coarse.folder == tmp_path / "coarse"
        assert len(list((coarse.source.root / "line").iterdir())) == 9
    asked.clear()
    assert cli.main([*line, "--no-coarse"]) == 0 and len(asked) == 1
    assert cli.main([*line, "--root", str(root)]) == 0 and len(asked) == 2


def test_a_finished_table_keeps_its_page_whatever_becomes_of_the_second(asked, tmp_path, monkeypatch):
    def fail(*parts):
        raise InputError("no links here")

    monkeypatch.setattr(tables, "write_shape", fail)
    for command, page in (
        ("table", "results.md"),
        ("universal", "universal.md"),
        ("zero-shot", "zero_shot.md"),
    ):
        folder = tmp_path / command
        assert cli.main([command, "--folder", str(folder)]) == 2 and (folder / page).is_file()


def test_zero_shot_reads_the_names_of_unseen_classes(asked, root, tmp_path, capsys):
    unseen = tmp_path / "unseen.txt"
    unseen.write_text("bee\n\n cat \n")
    line = ["zero-shot", "--root", str(root), "--folder", str(tmp_path / "out"), "--no-ablation"]
    assert cli.main([*line, "--unseen", str(unseen)]) == 0
    assert asked[0].protocols[0].unseen == ("bee", "cat") and [len(names(t)) for t in asked] == [4, 2]
    assert cli.main(line) == 0 and asked[2].protocols[0].unseen is None and not asked[2].keep
    unseen.write_text("\n")
    assert cli.main([*line, "--unseen", str(unseen)]) == 2
    assert "list of class names is empty" in capsys.readouterr().err
    assert cli.main([*line, "--unseen", str(tmp_path)]) == 2 and "cannot read" in capsys.readouterr().err
    assert len(asked) == 4


def test_depths_are_an_option_and_reach_every_protocol(asked, root, tmp_path):
    line = ["--root", str(root), "--folder", str(tmp_path), "--ks", "2", "7"]
    assert cli.main(["universal", *line]) == 0 and cli.main(["zero-shot", *line]) == 0
    assert len(asked) == 6 and {p.ks for table in asked for p in table.protocols} == {(2, 7)}


@pytest.mark.parametrize("wrong", ["bea", "ant\nbee\ncat", "bee\nbee"])
def test_unseen_classes_are_checked_on_every_pair_before_a_file_is_written(
    wrong, root, small_clip, tmp_path, capsys
):
    (root / "solid" / "bee").rename(root / "solid" / "wasp")  # the last pair lacks a class
    unseen, out = tmp_path / "unseen.txt", tmp_path / "out"
    line = ["zero-shot", "--root", str(root), "--model", small_clip, "--folder", str(out)]
    for names in (wrong, "bee"):
        unseen.write_text(names)
        assert cli.main([*line, "--unseen", str(unseen)]) == 2
        error = capsys.readouterr().err
        assert error.startswith("tpsnet: ") and error.count("\n") == 1 and not out.exists()
    assert "'bee' is not in both 'line' and 'solid'" in error


def test_a_byte_order_mark_is_no_part_of_a_name(asked, root, tmp_path):
    unseen = tmp_path / "unseen.txt"
    unseen.write_text("bee\ncat\n", encoding="utf-8-sig")
    line = ["zero-shot", "--root", str(root), "--folder", str(tmp_path / "out"), "--no-ablation"]
    assert cli.main([*line, "--unseen", str(unseen)]) == 0
    assert asked[0].protocols[0].unseen == ("bee", "cat")


@pytest.mark.parametrize(("mendable", "code"), [((True, True), 2), ((True, False), 1)])
@pytest.mark.parametrize("there", [[{}], []])
def test_failed_rows_are_on_the_page_and_at_the_end(
    mendable, code, there, root, tmp_path, monkeypatch, capsys
):
    failures = [Failure(f"row {n}", "no *match*", Path(f"{n}.txt"), m) for n, m in enumerate(mendable)]

    def some_fail(table):
        raise RowsFailed(failures, there)

    monkeypatch.setattr(machines, "fill", some_fail)
    monkeypatch.setattr(tables, "universal_markdown", lambda rows, ablation: "# Universal\n\nnumbers\n")
    line = ["universal", "--root", str(root), "--folder", str(tmp_path / "out")]
    assert cli.main(line) == code
    shown = capsys.readouterr().err.splitlines()
    assert shown == [  # though the ablation asks for the same rows again
        "tpsnet: failed: row 0: no *match* (0.txt)",
        "tpsnet: failed: row 1: no *match* (1.txt)",
        "tpsnet: 2 rows failed, the others are done; the same call tries again",
    ]
    page = tmp_path / "out" / "universal.md"
    assert page.exists() == bool(there)
    if there:
        title, _, note, _, first, *_, last = page.read_text().splitlines()
        assert (title, last) == ("# Universal", "numbers")
        assert note.startswith("**Not complete: 2 rows are missing.**")
        assert first == r"- row 0: no \*match\*"
    monkeypatch.setattr(machines, "fill", lambda table: [{}])
    assert cli.main(line) == 0 and page.read_text() == "# Universal\n\nnumbers\n"


def test_gpus_and_cluster_reach_the_table(asked, root, tmp_path, monkeypatch):
    monkeypatch.setattr(machines, "gpus", lambda: ("0", "1", "2"))
    monkeypatch.setattr(Cluster, "check", lambda self: None)  # there is no Slurm here
    line = ["table", "--root", str(root), "--folder", str(tmp_path)]
    assert cli.main([*line, "--device", "cuda"]) == 0
    assert cli.main([*line, "--device", "cuda:1"]) == 0
    assert (
        cli.main([*line, "--cluster", "slurm", "--cluster-partition", "gpu", "--cluster-at-once", "3"]) == 0
    )
    assert [table.workers for table in asked[:2]] == [3, 1] and not asked[0].cluster.used
    sent = asked[2].cluster
    assert (sent.cluster, sent.partition, sent.at_once) == ("slurm", "gpu", 3)
