import pytest
import torch

from tpsnet.errors import InputError
from tpsnet.io import write_tensors
from tpsnet.viz.projection import nearest, neighbourhood, neighbours_kept, umap_map


def slow_nearest(points, k):
    rows = []
    for i, a in enumerate(points.tolist()):
        far = [
            (sum((x - y) ** 2 for x, y in zip(a, b, strict=True)), j) for j, b in enumerate(points.tolist())
        ]
        rows.append([j for _, j in sorted(far) if j != i][:k])
    return rows


def test_nearest_is_brute_force_whatever_the_chunk(unit):
    points = unit(23, 5).float()
    assert nearest(points, 4, chunk=7).tolist() == slow_nearest(points, 4)
    assert torch.equal(nearest(points, 4, chunk=7), nearest(points, 4))


def test_a_copy_is_a_neighbour_but_a_point_is_not_its_own():
    points = torch.tensor([[0.0, 0.0], [0.0, 0.0], [1.0, 0.0], [1.5, 0.0]])
    assert nearest(points, 1).flatten().tolist() == [1, 0, 3, 2]


def test_a_faithful_map_keeps_every_neighbour(rng):
    flat = torch.rand(30, 2, generator=rng)
    space = torch.cat([flat, torch.zeros(30, 3)], dim=1)  # the same points in five dimensions
    assert neighbours_kept(space, flat, k=5).tolist() == [1.0] * 30


def test_neighbours_kept_is_the_overlap_of_two_slow_lists(unit, rng):
    space, flat = unit(20, 6).float(), torch.rand(20, 2, generator=rng)
    pairs = zip(slow_nearest(space, 4), slow_nearest(flat, 4), strict=True)
    expected = [len(set(a) & set(b)) / 4 for a, b in pairs]
    assert 0 < sum(expected) < 20  # neither all nor none, or the test says little
    assert neighbours_kept(space, flat, k=4).tolist() == pytest.approx(expected)


def test_too_many_neighbours_are_refused(unit, tmp_path):
    with pytest.raises(InputError, match="cannot take 5 neighbours among 5"):
        nearest(unit(5, 2).float(), 5)
    with pytest.raises(InputError, match="cannot keep 30 neighbours"):
        umap_map(unit(30, 4).float(), tmp_path, neighbours=30)


@pytest.mark.parametrize(("n", "wanted"), [(12, 2), (60, 7), (240, 30), (3200, 30)])
def test_a_neighbourhood_is_a_small_part_of_the_data(n, wanted):
    assert neighbourhood(n) == wanted


def test_three_groups_stay_apart_and_the_second_call_reads_the_first_one_s_file(tmp_path, rng):
    centres = torch.eye(8)[:3].repeat_interleave(20, dim=0)
    vectors = centres + 0.1 * torch.randn(60, 8, generator=rng)
    vectors = vectors / vectors.norm(dim=1, keepdim=True)
    points = umap_map(vectors, tmp_path, neighbours=8)
    assert points.shape == (60, 2)
    assert points.isfinite().all()
    group = torch.arange(60) // 20
    assert (group[nearest(points, 5)] == group[:, None]).float().mean() > 0.95
    (file,) = tmp_path.iterdir()
    write_tensors(file, {"points": points + 1}, {})  # a fit would not return this
    assert torch.equal(umap_map(vectors, tmp_path, neighbours=8), points + 1)
    file.write_bytes(b"damaged")
    assert torch.equal(umap_map(vectors, tmp_path, neighbours=8), points)
    assert not torch.equal(umap_map(vectors.roll(20, 0), tmp_path, neighbours=8), points)
    moved = umap_map(vectors.flip(1), tmp_path, neighbours=8, start=points)
    assert len(list(tmp_path.iterdir())) == 3  # other vectors or another start: another file
    # From a start the groups stay near where they were, up to scale.
    before, after = (torch.stack([p[group == g].mean(dim=0) for g in range(3)]) for p in (points, moved))
    signs = [torch.linalg.det(p[1:] - p[0]).sign() for p in (before, after)]
    assert signs[0] == signs[1]
