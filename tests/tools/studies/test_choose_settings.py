"""The label-free criterion: its value by hand, against slow loops, and what it does not reward."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tools.studies import choose_settings
from tools.studies.choose_settings import (
    AXES,
    SEEDS,
    START,
    choose,
    configured,
    cross_domain_agreement,
    job,
    judge,
    main,
)
from tpsnet.data import AugmentConfig
from tpsnet.experiments import BASELINES, Closed, Source
from tpsnet.methods import TPSNetConfig
from tpsnet.training import FitConfig


def slow_kappa(one, other) -> float:
    votes = [
        (one[0][i] == one[1][j], other[0][i] == other[1][j])
        for i in range(len(one[0]))
        for j in range(len(one[1]))
    ]
    n = len(votes)
    observed = sum(bool(a) == bool(b) for a, b in votes) / n
    yes = [sum(bool(v[k]) for v in votes) / n for k in range(2)]
    chance = yes[0] * yes[1] + (1 - yes[0]) * (1 - yes[1])
    return (observed - chance) / (1 - chance)


def test_by_hand():
    """2 × 2 pairs; one says yes to the diagonal, the other to its first half: observed 3/4, chance 1/2."""
    one = torch.tensor([0, 1]), torch.tensor([0, 1])
    other = torch.tensor([0, 1]), torch.tensor([0, 2])
    assert cross_domain_agreement(one, other) == pytest.approx((0.75 - 0.5) / (1 - 0.5))


def test_against_slow_loops(rng):
    one = [torch.randint(0, 4, (n,), generator=rng) for n in (13, 17)]
    other = [torch.where(torch.rand(len(x), generator=rng) < 0.3, (x + 1) % 4, x) for x in one]
    assert 0.1 < cross_domain_agreement(one, other) < 0.9
    assert cross_domain_agreement(one, other) == pytest.approx(slow_kappa(one, other), abs=1e-12)


def test_names_of_clusters_do_not_matter(rng):
    one = [torch.randint(0, 5, (30,), generator=rng) for _ in range(2)]
    renamed = torch.randperm(5, generator=rng)
    assert cross_domain_agreement(one, [renamed[x] for x in one]) == pytest.approx(1)


def test_clusters_of_one_domain_only_earn_nothing():
    """Perfectly stable, and useless for retrieval across domains."""
    pure = torch.tensor([0, 0, 1, 1]), torch.tensor([2, 2, 3, 3])
    assert cross_domain_agreement(pure, pure) == 0


def test_only_a_clear_winner_leaves_the_start():
    assert choose({0.1: 50.0, 0.2: 52.0, 0.4: 51.0}, 0.1) == 0.2
    assert choose({0.1: 50.0, 0.2: 50.9, 0.4: 40.0}, 0.1) == 0.1
    assert choose({0.1: 50.0, 0.2: 40.0}, 0.1) == 0.1


def test_a_setting_reaches_method_and_loop():
    setting = dict(zip(AXES, (1e-3, 0.4, 0.1, 3, 0.7), strict=True))
    variant, loop = configured(setting)
    assert variant.config == TPSNetConfig(
        encoder_lr=1e-3, text_temperature=0.4, prototype_temperature=0.1, epochs=3, start_weight=0.0
    )
    assert loop == FitConfig(augment=AugmentConfig(crop_scale=(0.7, 1.0)))


@pytest.fixture
def source(root, small_clip, monkeypatch) -> Source:
    found = Source(root, small_clip)
    monkeypatch.setattr(choose_settings, "SOURCE", found)
    monkeypatch.setattr(choose_settings, "PROTOCOL", Closed(ks=(1,)))
    return found


def test_a_result_is_known_by_all_that_it_depends_on(source):
    backbone, pair = source.backbone(), ("flat", "line")
    keys = {job(*configured(START | {axis: v}), pair, backbone).key for axis in AXES for v in AXES[axis]}
    assert len(keys) == 1 + sum(len(values) - 1 for values in AXES.values())
    asked = job(*configured(START), pair, backbone)
    assert asked.made_with["seed"] == list(SEEDS) and asked.made_with["backbone"] == backbone.identity


def test_an_untrained_network_agrees_as_its_clusterings_do(source):
    """Both seeds embed alike, so agreement is that of two k-means on the same vectors."""
    asked = job(BASELINES["frozen CLIP, centred"], FitConfig(), ("flat", "line"), source.backbone())
    found = judge(*asked.arguments)
    assert set(found) == {"agreement", "mAP"} and -100 <= found["agreement"] <= 100 and found["mAP"] > 0


def test_the_axes_are_walked_with_what_was_chosen_before(source, tmp_path, monkeypatch, capsys):
    """Half of the stubbed agreement is of the temperature, half of the rate: both leave the start."""
    monkeypatch.setattr(choose_settings, "AXES", {"encoder_lr": (3e-4, 1e-3), "text_temperature": (0.1, 0.4)})
    monkeypatch.setattr(choose_settings, "START", START | {"epochs": 1})
    seen = []

    def stub(variant, loop, names) -> dict[str, float]:
        seen.append(variant)
        rate, temperature = (
            getattr(variant.config, axis, 0.0) for axis in ("encoder_lr", "text_temperature")
        )
        return {"agreement": 50 + 1e4 * rate + 10 * temperature, "mAP": 30.0}

    monkeypatch.setattr(choose_settings, "judge", stub)
    files = tmp_path / "rows.jsonl", tmp_path / "page.md"
    main((("flat", "line"), ("flat", "solid")), *files, workers=1)
    page = files[1].read_text()
    assert "`encoder_lr` 0.001, `text_temperature` 0.4" in page and "| **0.4** | 64.0 | 30.0 |" in page
    assert "| 0.1 | 61.0 | 30.0 |" in page  # with the rate that was chosen
    assert "before training, agreement is 50.0" in page and page in capsys.readouterr().out
    assert len(seen) == 2 * (2 + 1 + 1)  # the rate's best is the temperature's first
    main((("flat", "line"), ("flat", "solid")), *files, workers=1)
    assert len(seen) == 8


def test_a_setting_is_trained_and_compared(source):
    variant, loop = configured(START | {"epochs": 1})
    short = replace(variant.config, prompt_epochs=1, prompt_warmup=0, heads=2, neighbours=1)
    found = judge(replace(variant, config=short), loop, ("flat", "line"))
    assert -100 <= found["agreement"] <= 100 and 0 < found["mAP"] <= 100


def test_what_is_chosen_is_what_ships():
    """docs/settings.md and the defaults say the same."""
    page = (Path(__file__).parents[3] / "docs" / "settings.md").read_text(encoding="utf-8")
    shipped = TPSNetConfig(clusters=1)
    for axis in AXES:
        value = AugmentConfig().crop_scale[0] if axis == "crop" else getattr(shipped, axis)
        assert f"`{axis}` {value:g}" in page.split("Chosen: ")[1].split(". Made by")[0]
    assert list(START) == list(AXES) and all(START[axis] in values for axis, values in AXES.items())
