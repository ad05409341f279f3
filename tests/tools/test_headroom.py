"""The headroom table: what it averages, that its oracle learns, what it leaves alone."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from tools.headroom import MARKS, adapter, cluster_table, floor_table, scores, write_between_marks
from tpsnet.types import Domain, Images

CLASSES, PER_CLASS, DIM = 8, 6, 16


@pytest.fixture
def pictures() -> dict[str, tuple[Domain, Images]]:
    labels = torch.arange(CLASSES).repeat_interleave(PER_CLASS)
    names = tuple(f"thing_{i}" for i in range(CLASSES))
    n = len(labels)
    blank = torch.zeros(n, 3, 8, 8, dtype=torch.uint8)
    paths = tuple(Path(f"{i}.webp") for i in range(n))
    return {
        d: (Domain(d, paths, labels, names), Images(d, blank)) for d in ("flat", "line", "shaded", "solid")
    }


@pytest.fixture
def vectors(pictures, rng) -> dict[str, torch.Tensor]:
    """Class centres in the first half of the axes, a strong shift of each domain and noise in all."""
    centres = torch.zeros(CLASSES, DIM)
    centres[:, :8] = torch.eye(8)
    found = {}
    for i, (name, (domain, _)) in enumerate(pictures.items()):
        noise = 0.3 * torch.randn(len(domain), DIM, generator=rng)
        found[name] = F.normalize(centres[domain.labels] + noise + 1.5 * torch.eye(DIM)[8 + i], dim=1)
    return found


def test_scores_of_a_perfect_embedding(pictures):
    perfect = dict.fromkeys(pictures, torch.eye(CLASSES).repeat_interleave(PER_CLASS, 0))
    assert scores(pictures, perfect, "flat", "line").tolist() == pytest.approx([100, 100, 100])
    some = scores(pictures, perfect, "flat", "line", keep=[2, 5])
    assert some.tolist() == pytest.approx([100, 100, 100])


def test_group_means_are_means_of_their_directions(pictures, vectors):
    rows = [
        [c.strip(" *") for c in line.split("|")[1:-1]]
        for line in floor_table(pictures, vectors, vectors).split("\n")
    ]
    table = {row[0]: [float(x) for x in row[1:]] for row in rows[2:]}
    assert len(table) == 12 + 4
    groups = {"mean, colour → colour": [], "mean, line or solid ↔ colour": [], "mean, line ↔ solid": []}
    for name, row in table.items():
        if "mean" not in name:
            mono = sum(side in ("line", "solid") for side in name.split(" → "))
            groups[list(groups)[mono]].append(torch.tensor(row))
    assert [len(g) for g in groups.values()] == [2, 8, 2]
    for name, group in groups.items():
        assert table[name] == pytest.approx(torch.stack(group).mean(dim=0).tolist(), abs=0.11)
    assert table["flat → line"][:3] == table["flat → line"][3:]


def test_clusters_and_names(pictures):
    """Perfect clusters have NMI 1; the texts of the last four classes point at one another."""

    class Text:
        def encode_text(self, texts: list[str]) -> torch.Tensor:
            assert texts[3] == "a picture of a thing 3"
            return torch.eye(CLASSES)[[0, 1, 2, 3, 5, 6, 7, 4]]

    perfect = dict.fromkeys(pictures, torch.eye(CLASSES).repeat_interleave(PER_CLASS, 0))
    assert "| flat | 1.00 | 50.0 |" in cluster_table(Text(), pictures, perfect, 0)


def test_the_oracle_learns_from_the_labels(pictures, vectors):
    everything = list(range(CLASSES))
    moved = adapter(pictures, vectors, ("flat", "line"), everything)
    before, after = (scores(pictures, v, "flat", "line")[2].item() for v in (vectors, moved))
    assert after > before + 5
    assert set(moved) == {"flat", "line"} and not torch.equal(moved["flat"], vectors["flat"])


def test_unseen_classes_do_not_train(pictures, vectors):
    """Scrambling the vectors of classes that are left out changes nothing of what is learned."""
    seen = [0, 1, 2, 5]
    other = {name: z.clone() for name, z in vectors.items()}
    left_out = ~torch.isin(pictures["flat"][0].labels, torch.tensor(seen))
    other["flat"][left_out] = other["flat"][left_out].flip(0)
    first, second = (adapter(pictures, v, ("flat", "line"), seen) for v in (vectors, other))
    torch.testing.assert_close(first["line"], second["line"])


def test_only_the_marked_part_is_replaced(tmp_path):
    card = tmp_path / "DATA.md"
    card.write_text(f"before\n{MARKS[0]}\nold\n{MARKS[1]}\nafter\n")
    write_between_marks(card, "new")
    assert card.read_text() == f"before\n{MARKS[0]}\nnew\n{MARKS[1]}\nafter\n"
    assert list(tmp_path.iterdir()) == [card]
