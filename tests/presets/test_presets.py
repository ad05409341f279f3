"""Presets: each is consistent with its data set, starts an experiment, and has its figures."""

from dataclasses import replace
from pathlib import Path

import pytest

from tpsnet.data import DATASETS
from tpsnet.errors import InputError
from tpsnet.experiments import Closed, Experiment, Universal, ZeroShot
from tpsnet.methods import METHODS, CLAIRConfig, TPSNetPrintedConfig, UEMConfig
from tpsnet.presets import DEFAULT, NAMES, load_preset
from tpsnet.presets.__main__ import overview
from tpsnet.report import published

REAL = [name for name in NAMES if name != DEFAULT]
PRINTED = ["domainnet7", "office31", "office_home"]


def test_there_is_one_for_each_data_set_of_the_papers():
    assert set(NAMES) == {
        *("emoji", "office_home", "office31", "domainnet7"),
        *("sketchy25", "sketchy21", "tuberlin", "quickdraw", "domainnet_zs"),
    }


def test_the_embedded_preset_is_the_default_experiment():
    assert load_preset(DEFAULT).experiment() == Experiment()


@pytest.mark.parametrize("name", REAL)
def test_a_preset_speaks_of_what_its_data_set_has(name):
    preset = load_preset(name)
    dataset = DATASETS[preset.source.dataset]
    for pair in (*preset.directions, preset.pair):
        assert pair == tuple(dataset.domain(domain).name for domain in pair) and pair[0] != pair[1]
    assert len(set(preset.directions)) == len(preset.directions)
    splits = {p.split for sweep in preset.sweeps for p in sweep.protocols if p.name == "zero-shot"}
    assert splits == ({preset.split} if preset.split else set())
    assert not preset.split or dataset.unseen(preset.split)


@pytest.mark.parametrize("name", NAMES)
def test_every_row_is_an_experiment_that_can_be_saved(name, tmp_path):
    preset = load_preset(name)
    for sweep in preset.every_sweep:
        assert len({row.name for row in sweep.rows}) == len(sweep.rows)
        for row in sweep.rows:
            for protocol in sweep.protocols:
                own = Experiment(preset.pair, row.config, protocol, sweep.fit, preset.backbone_of(sweep))
                own.save(tmp_path / "config.json")
                assert Experiment.load(tmp_path / "config.json") == own
                assert isinstance(row.config, METHODS[row.method].config)


def test_every_published_figure_belongs_to_one_preset_and_to_its_directions():
    found = 0
    for name in REAL:
        preset = load_preset(name)
        figures = preset.figures()
        reported = {" → ".join(pair) for pair in preset.directions}
        assert {d for d in figures["direction"] if not d.startswith("mean")} <= reported
        assert set(figures["protocol"]) == set(preset.protocols)
        found += len(figures)
        means = {p: sum(q != g for q, g in preset.directions) for p in preset.protocols}
        assert all(means.values())
    assert found == len(published()) and load_preset(DEFAULT).figures().empty


@pytest.mark.parametrize("name", PRINTED)
def test_uem_as_printed_has_what_the_paper_prints(name):
    """Section 4.1 of the paper; the epochs of stage 1 are 200 on DomainNet."""
    printed = load_preset(name).printed
    uem, fit = printed.rows[0].config, printed.fit
    assert (fit.optimizer, fit.momentum, fit.warmup) == ("sgd", 0.9, 0.0) and fit.clip_norm >= 1e6
    assert (uem.lr, uem.batch_size, uem.temperature, uem.memory_momentum) == (2e-4, 64, 0.07, 0.99)
    assert (uem.idse_epochs, uem.cdsm_epochs) == (200 if name == "domainnet7" else 100, 50)
    assert uem.merge == "global" and uem.start_weight == 0 and uem.sel and uem.spda and uem.sn2m
    assert printed.seeds == (2024, 2025, 2026) and printed.model.startswith("moco:")
    ours = {row.name for sweep in load_preset(name).sweeps for row in sweep.rows}
    assert not ours & {row.name for row in printed.rows}
    assert all("INFERRED" in Path(f"tpsnet/presets/{n}.py").read_text() for n in (name,))


def test_a_pair_is_trained_once_where_it_is_scored_both_ways(tmp_path):
    preset = load_preset("office_home")
    pairs = {t.protocols[0].name: t.pairs for s in preset.sweeps for t in preset.tables(s, tmp_path)}
    assert len(pairs["closed"]) == 6 and ("Art", "Real World") in pairs["closed"]
    assert pairs["partial"] == pairs["open"] == preset.directions and len(preset.directions) == 12
    (table, *_) = preset.tables(preset.printed, tmp_path)
    assert table.source.model.startswith("moco:") and table.source.pretrained is None
    assert table.loop == preset.printed.fit and table.seeds == (2024, 2025, 2026)
    few = replace(load_preset("domainnet7"), directions=(("real", "sketch"), ("sketch", "real")))
    assert few.tables(few.sweeps[0], tmp_path)[0].pairs == (("real", "sketch"),)


def test_method_and_protocol_choose_the_row():
    preset = load_preset("office_home")
    first = preset.experiment()
    assert (first.method, first.protocol, first.pair) == ("TPSNet", Closed(), ("Art", "Clipart"))
    assert preset.experiment("UEM").config == UEMConfig()
    assert preset.experiment("TPSNetPrinted").config == TPSNetPrintedConfig(encoder_lr=1e-6, module_lr=1e-4)
    printed = preset.experiment("UEMPrinted", "open")
    assert printed.config == preset.printed.rows[0].config and printed.fit == preset.printed.fit
    assert printed.protocol == Universal(spaces="open") and printed.seed == 2024
    assert printed.source.model.startswith("moco:") and printed.source.dataset == "office-home"
    assert preset.experiment(None, "partial").protocol == Universal(spaces="partial")
    assert preset.experiment("CLAIR").method == "TPSNet", "what no sweep has is left to the caller"
    zero = load_preset("sketchy25").experiment()
    assert zero.config == CLAIRConfig() and zero.protocol == ZeroShot(split="25")


@pytest.mark.parametrize(
    ("asked", "nearest"),
    [
        ("ofice_home", "office_home"),
        ("Office", "office31"),
        ("sketchy", "sketchy2"),
        ("cars", "did you mean"),
    ],
)
def test_a_mistyped_name_is_told_the_nearest(asked, nearest):
    with pytest.raises(
        InputError, match=f"no preset {asked!r}; did you mean .*{nearest}|{nearest}"
    ) as caught:
        load_preset(asked)
    assert "\n" not in str(caught.value) and "emoji, " in str(caught.value)


@pytest.mark.parametrize("name", ["office-home", "Office_Home", " office_home"])
def test_dashes_and_capitals_are_no_other_name(name):
    assert load_preset(name) is load_preset("office_home")


def test_the_page_of_presets_shows_what_they_are():
    page = (Path(__file__).parents[2] / "docs" / "presets.md").read_text()
    assert overview() in page, "put what `python -m tpsnet.presets` prints into docs/presets.md"
