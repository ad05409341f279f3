"""The ranking against a sort of lists, with ties, copies, uneven chunks, faiss and bad input."""

import ast
import sys
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import pytest
import torch
from evaluation.reference_metrics import slow_order

import tpsnet
from tpsnet.errors import InputError
from tpsnet.evaluation import iter_rankings, rank
from tpsnet.neighbours import resolve_engine
from tpsnet.types import Embeddings, Ranking


@pytest.mark.parametrize("chunk", [1, 7, 20, 1000])
def test_same_as_the_slow_order_with_ties(embeddings, lattice, rng, chunk):
    q = embeddings("q", lattice(20), torch.randint(0, 6, (20,), generator=rng))
    g = embeddings("g", lattice(33), torch.randint(0, 6, (33,), generator=rng))
    ours = rank(q, g, chunk=chunk)
    slow = [slow_order(vector, g.vectors.tolist()) for vector in q.vectors.tolist()]
    assert ours.indices.tolist() == slow
    assert ours.relevant.tolist() == [
        [int(g.labels[i]) == y for i in row] for row, y in zip(slow, q.labels.tolist(), strict=True)
    ]
    assert ours.n_relevant.tolist() == [g.labels.tolist().count(y) for y in q.labels.tolist()]
    torch.testing.assert_close(ours.scores, (q.vectors @ g.vectors.T).gather(1, ours.indices))


def test_by_hand(embeddings, circle):
    """Seen from 0°, the nearest stands at 10°, the farthest opposite; cosines are those of a table."""
    q = embeddings("q", circle(0), [2])
    g = embeddings("g", circle(60, 10, 180, 90), [2, 1, 2, 2])
    ours = rank(q, g)
    assert ours.indices.tolist() == [[1, 0, 3, 2]]
    assert ours.scores[0].tolist() == pytest.approx([0.984808, 0.5, 0.0, -1.0], abs=1e-6)
    assert ours.relevant.tolist() == [[False, True, True, True]]
    assert ours.n_relevant.tolist() == [3]


def test_k_shortens_the_list_and_nothing_else(embeddings, lattice):
    q, g = embeddings("q", lattice(9), [0] * 9), embeddings("g", lattice(15), [0, 1, 2] * 5)
    full, short = rank(q, g), rank(q, g, k=4)
    assert short.indices.shape == (9, 4)
    assert short.indices.equal(full.indices[:, :4])
    assert short.scores.equal(full.scores[:, :4])
    assert short.relevant.equal(full.relevant[:, :4])
    assert short.n_relevant.equal(full.n_relevant)


def test_a_query_without_a_match_has_a_ranking_without_anything_relevant(embeddings, lattice):
    found = rank(embeddings("q", lattice(1), [4]), embeddings("g", lattice(3), [0, 1, 2]))
    assert found.n_relevant.tolist() == [0] and not found.relevant.any() and found.indices.shape == (1, 3)


@pytest.mark.parametrize("copies", [5, 7, 33])
@pytest.mark.parametrize("chunk", [1, 2, 1000])
def test_copies_stand_in_the_gallery_s_order(embeddings, unit, copies, chunk):
    """A float32 product gives copies of one row scores a bit apart, and others in another chunk."""
    q = embeddings("q", unit(7, 512).float(), [0] * 7)
    near, far = q.vectors[0], -q.vectors[0]
    g = embeddings("g", torch.stack([near, far]).repeat(copies, 1), [0] * 2 * copies)
    first = rank(q, g, chunk=chunk).indices[0].tolist()
    assert first == [*range(0, 2 * copies, 2), *range(1, 2 * copies, 2)]
    same = embeddings("g", near.expand(copies, 512), [0] * copies)
    assert rank(q, same, chunk=chunk).indices.tolist() == [list(range(copies))] * 7


def test_the_chunk_changes_no_bit(embeddings, unit):
    q, g = embeddings("q", unit(50, 64).float(), [0] * 50), embeddings("g", unit(301, 64).float(), [0] * 301)
    one, many = rank(q, g, chunk=1), rank(q, g, chunk=50)
    assert one.indices.equal(many.indices)
    assert one.scores.equal(many.scores)


def test_minus_zero_is_zero(embeddings):
    """A cosine of −10⁻⁵⁰ rounds to −0, which must not stand behind 0."""
    q = embeddings("q", torch.tensor([[1.0, 0.0]], dtype=torch.float64), [0])
    g = embeddings("g", torch.tensor([[-1e-50, 1.0], [1e-50, 1.0]], dtype=torch.float64), [0, 0])
    assert rank(q, g).indices.tolist() == [[0, 1]]


def test_chunks_are_handed_out_one_by_one(embeddings, lattice):
    q, g = embeddings("q", lattice(20), [0] * 20), embeddings("g", lattice(5), [0] * 5)
    sizes = [len(part.indices) for part in iter_rankings(q, g, chunk=8)]
    assert sizes == [8, 8, 4]


@pytest.mark.parametrize("chunk", [1, 3, 1000])
def test_scores_that_cancel_tie(embeddings, unit, chunk):
    """Their float64 products are some 10⁻¹⁷ of either sign, and others in another chunk."""
    halves, items = unit(7, 96) / 2**0.5, unit(50, 96) / 2**0.5
    q = embeddings("q", torch.cat([halves, halves], dim=1), [0] * 7)
    g = embeddings("g", torch.cat([items, -items], dim=1), [0] * 50)
    assert rank(q, g, chunk=chunk).indices.tolist() == [list(range(50))] * 7


def assert_same(ours: Ranking, theirs: Ranking) -> None:
    """Every field bit by bit."""
    for field in fields(Ranking):
        assert getattr(ours, field.name).equal(getattr(theirs, field.name)), field.name


@pytest.mark.parametrize("n_query", [1, 40])
@pytest.mark.parametrize("k", [1, 5, 60, 290, None])
@pytest.mark.parametrize("kind", ["random", "lattice", "copies", "near copies", "float64"])
def test_faiss_ranks_the_same_bit_by_bit(embeddings, unit, lattice, n_query, k, kind):
    """Near copies differ by less than a float32 product can tell, copies reach beyond any candidates."""
    pytest.importorskip("faiss")
    near = unit(1, 32) + 3e-7 * unit(300, 32)
    items = {
        "random": unit(300, 32).float(),
        "lattice": lattice(300),
        "copies": unit(6, 32).float().repeat(50, 1),
        "near copies": near / near.norm(dim=1, keepdim=True),
        "float64": unit(300, 32),
    }[kind]
    queries = lattice(n_query) if kind == "lattice" else unit(n_query, 32)
    queries = queries.to(items.dtype)
    q, g = embeddings("q", queries, [0] * n_query), embeddings("g", items, [0, 1, 2] * 100)
    assert_same(rank(q, g, k, engine="faiss", chunk=11), rank(q, g, k, engine="torch"))


def test_auto_ranks_a_large_gallery_with_faiss_and_leaves_its_options_alone(embeddings, unit, monkeypatch):
    faiss = pytest.importorskip("faiss")
    monkeypatch.setattr(faiss.cvar, "distance_compute_blas_threshold", 77)
    searches, search = [], faiss.knn
    monkeypatch.setattr(faiss, "knn", lambda *args: searches.append(args) or search(*args))
    q, g = embeddings("q", unit(20, 16), [0] * 20), embeddings("g", unit(12_000, 16), [0] * 12_000)
    plain = rank(q, g, k=5, engine="torch")
    assert not searches
    assert_same(rank(q, g, k=5), plain)
    assert searches and faiss.cvar.distance_compute_blas_threshold == 77


def test_the_engine_is_resolved_by_depth_and_gallery():
    pytest.importorskip("faiss")
    assert resolve_engine("auto", 15, 100_000) == "faiss"
    assert resolve_engine("auto", 5, 1_000) == "torch"
    assert {resolve_engine("auto", k, 100_000) for k in (None, 100_000, 90_000, 20_000)} == {"torch"}
    assert resolve_engine("torch", 15, 100_000) == "torch"
    assert resolve_engine("faiss", None, 10) == "faiss"


def test_auto_without_faiss_is_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)  # makes the import fail
    assert resolve_engine("auto", 15, 100_000) == "torch"


def test_the_index_goes_to_the_gpu_where_faiss_has_one(embeddings, unit, monkeypatch):
    """A fake of the GPU build: its names, the index of the CPU build, and a GPU that keeps to its limit."""
    faiss = pytest.importorskip("faiss")
    moved = []

    def to_gpu(resources, device, index):
        moved.append((resources, device))
        return index

    fake = ModuleType("faiss")
    fake.IndexFlatIP, fake.index_cpu_to_gpu = faiss.IndexFlatIP, to_gpu
    fake.StandardGpuResources, fake.get_num_gpus = lambda: "resources", lambda: 1
    monkeypatch.setitem(sys.modules, "faiss", fake)
    q, g = embeddings("q", unit(3, 8), [0] * 3), embeddings("g", unit(3000, 8), [0] * 3000)
    assert_same(rank(q, g, k=5, engine="faiss"), rank(q, g, k=5, engine="torch"))
    assert moved == [("resources", 0)]
    assert_same(rank(q, g, k=2040, engine="faiss"), rank(q, g, k=2040, engine="torch"))
    assert len(moved) == 1 and resolve_engine("faiss", 2040, 3000) == "torch"
    fake.get_num_gpus = lambda: 0
    assert resolve_engine("faiss", 2040, 3000) == "faiss"


def test_faiss_missing_names_the_extra(embeddings, lattice, monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)  # makes the import fail
    pair = embeddings("q", lattice(2), [0, 0]), embeddings("g", lattice(2), [0, 0])
    with pytest.raises(InputError, match=r"tpsnet\[cpu\]"):
        rank(*pair, engine="faiss")


def test_faiss_is_imported_where_it_is_used():
    """Neither on import of the package nor in any other file."""
    places = []
    for path in Path(tpsnet.__file__).parent.rglob("*.py"):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(name.split(".")[0] == "faiss" for name in names):
                places.append((path.name, node in tree.body))
    assert sorted(set(places)) == [("faiss_file.py", False), ("search.py", False)]


def test_bad_input_is_one_line(embeddings, lattice, unit):
    q, g = embeddings("q", lattice(4), [0, 0, 1, 1]), embeddings("g", lattice(3), [0, 1, 2])
    other = Embeddings("g", g.vectors, g.labels, tuple(reversed(q.class_names)), g.paths)
    bad = {
        r"k = 4 with a gallery of 3 .*'g'.*1 to 3": lambda: rank(q, g, k=4),
        "k = 0": lambda: rank(q, g, k=0),
        "different class tables": lambda: rank(q, other),
        "4 and 5 numbers": lambda: rank(q, embeddings("g", unit(3, 5).float(), [0, 1, 2])),
        "'nearest' is unknown; choose from auto, torch, faiss": lambda: rank(q, g, engine="nearest"),
    }
    for message, call in bad.items():
        with pytest.raises(InputError, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)
