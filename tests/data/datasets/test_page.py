"""The page of data sets says what the code knows."""

from pathlib import Path

import pytest

from tpsnet.data import DATASETS, Dataset, DomainFacts

PAGE = (Path(__file__).parents[3] / "docs" / "datasets.md").read_text(encoding="utf-8")


def cells(dataset: Dataset) -> list[str]:
    def number(domain: DomainFacts) -> str:
        return f"{domain.images:,}" if domain.images is not None else "(not known)"

    images = [domain.images for domain in dataset.domains]
    return [
        dataset.title,
        f"`{dataset.name}`",
        str(len(dataset.classes)),
        "; ".join(f"{domain.name} {number(domain)}" for domain in dataset.domains),
        "not known" if None in images else f"{sum(images):,}",
        ", ".join(f"{name} unseen" for name in dataset.splits) or "–",
        f"<{dataset.page}>",
        dataset.terms or "not known",
    ]


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_the_row_of_a_data_set(name):
    assert f"| {' | '.join(cells(DATASETS[name]))} |" in PAGE.splitlines()


def test_no_other_rows():
    rows = [line.split(" | ") for line in PAGE.splitlines() if line.count(" | ") == 7]
    assert [row[1].strip("`") for row in rows[1:]] == list(DATASETS)
