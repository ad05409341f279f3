"""The published figures: they are of data sets and directions that exist, and add up as they are printed."""

import pytest

from tpsnet.data import DATASETS
from tpsnet.evaluation import definition
from tpsnet.report.published import published

PRINTED_OTHERWISE = {
    ("office-home", "closed", "CoDA")
}  # its directions have the mean 48.6, the paper says 46.8


def test_every_figure_is_of_a_data_set_a_direction_and_a_metric_that_exist():
    for f in published().itertuples():
        dataset = DATASETS[f.dataset]
        assert f.split == "" or dataset.unseen(f.split)
        if not f.direction.startswith("mean"):
            names = f.direction.split(" → ")
            assert names == [dataset.domain(name).name for name in names] and len(set(names)) == 2
        assert definition(f.metric) and (0 < f.value < 100 or f.value != f.value)
        assert f.protocol in ("closed", "partial", "open", "zero-shot") and f.source and f.settings


def test_means_are_those_of_their_directions():
    keys, odd = ["dataset", "protocol", "source", "backbone", "name", "metric"], set()
    checked = 0
    for (dataset, protocol, *_, name, _), found in published().groupby(keys, dropna=False):
        values = found.set_index("direction")["value"]
        if "mean" not in values or len(values) == 1 or values.isna().any():
            continue
        checked += 1
        if abs(values.drop("mean").mean() - values["mean"]) > 0.0501:
            odd.add((dataset, protocol, name))
    assert odd == PRINTED_OTHERWISE and checked > 60


def test_figures_of_one_data_set_and_protocol_alone():
    figures = published("office-31", "open")
    assert set(figures["dataset"]) == {"office-31"} and set(figures["protocol"]) == {"open"}
    assert figures.query("name == 'UEM' and direction == 'webcam → dslr' and metric == 'mAP'")[
        "value"
    ].tolist() == [82.9]
    assert published("office-31", "zero-shot").empty


@pytest.mark.parametrize(
    ("dataset", "protocol", "name", "direction", "value"),
    [
        ("office-home", "closed", "UEM", "Real World → Product", 68.2),
        ("office-home", "partial", "DGDIR", "Clipart → Art", 27.2),
        ("office-home", "open", "UEM, no SPDA", "mean", 39.0),
        ("domainnet-7", "partial", "CDS", "sketch → real", 29.6),
        ("domainnet-7", "open", "UEM", "infograph → sketch", 31.1),
        ("office-31", "closed", "CDS", "dslr → webcam", 90.0),
    ],
)
def test_figures_as_the_paper_prints_them(dataset, protocol, name, direction, value):
    found = published(dataset, protocol).query(
        "name == @name and direction == @direction and metric == 'mAP'"
    )
    assert found["value"].tolist() == [value]
