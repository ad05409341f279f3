"""What every engine owes: ids of exact search, filters, growth by streams, a build whole or not at all."""

import pytest
import torch
from galleries.conftest import ENGINES, EXACT, MODEL, parts
from pymilvus import MilvusClient, MilvusException

from tpsnet.errors import InputError
from tpsnet.galleries import Record, open_gallery
from tpsnet.neighbours import searcher

AWKWARD = ('b"\\', "it's", "a\nb", "Größe 中", "x' or id >= 0", "\udce9", "", '"', "{n}", "%_")


def slow(queries, vectors, k, fits):
    """Numbers and scores in float64, ties by number, of the items that fit."""
    kept = [i for i, fit in enumerate(fits) if fit]
    ids, scores = searcher(vectors[kept], min(k, len(kept)), "torch")(queries)
    return torch.tensor(kept)[ids], scores


@pytest.mark.parametrize("engine", EXACT)
def test_exact_engines_give_the_ids_of_exact_search(filled, embedded, engine):
    queries, vectors, _ = embedded
    gallery = filled(engine)
    ids, scores = gallery.search(queries, 20)
    expected, cosines = slow(queries, vectors, 20, [True] * len(vectors))
    assert gallery.exact and ids.tolist() == expected.tolist() and torch.equal(scores, cosines)


# Recall at 10 on the embedded images; what is found has its exact score.
@pytest.mark.parametrize(("engine", "recall"), [("faiss-ivf", 0.9), ("milvus-hnsw", 0.99)])
def test_approximate_engines_state_their_recall(filled, embedded, engine, recall):
    queries, vectors, _ = embedded
    gallery = filled(engine)
    ids, scores = gallery.search(queries, 10)
    expected, cosines = slow(queries, vectors, 10, [True] * len(vectors))
    found = (ids[:, :, None] == expected[:, None]).any(dim=2).float().mean()
    assert not gallery.exact and "approximate" in gallery.described and found >= recall
    assert torch.equal(scores[:, 0], (cosines[:, 0])) or found < 1
    again = (queries[:, None].double() * vectors[ids].double()).sum(dim=2)
    torch.testing.assert_close(scores.double(), again, atol=1e-6, rtol=0)
    assert (scores[:, :-1] >= scores[:, 1:]).all()


@pytest.mark.parametrize("engine", EXACT)
def test_filters_by_domain_and_class(filled, embedded, engine):
    queries, vectors, records = embedded
    gallery = filled(engine)
    classes = sorted({record.name for record in records})[:3]
    for domain, some in (("flat", ()), (None, classes), ("line", classes[:1])):
        ids, scores = gallery.search(queries[:9], 12, domain=domain, classes=some)
        fits = [domain in (None, r.domain) and (not some or r.name in some) for r in records]
        expected, cosines = slow(queries[:9], vectors, 12, fits)
        assert ids.tolist() == expected.tolist() and torch.equal(scores, cosines)
    assert gallery.search(queries[:2], 5, domain="photo")[0].shape == (2, 0)


# Lists need more vectors than these; their records are those of a flat index.
@pytest.mark.parametrize("engine", [name for name in ENGINES if not name.startswith("faiss-")])
def test_names_are_kept_and_filtered_as_they_are(address, engine, unit):
    rows = unit(len(AWKWARD), 6).float()
    records = [Record(name, name[::-1], f"/{name}/{i}") for i, name in enumerate(AWKWARD)]
    with open_gallery(address(engine)) as gallery:
        gallery.add([(rows, records)], MODEL)
        assert gallery.records(range(len(records))) == records
        assert list(gallery.walk()) == list(enumerate(records))
        for i, name in enumerate(AWKWARD):
            assert gallery.search(rows[:1], 20, domain=name)[0].tolist() == [[i]]
            assert gallery.search(rows[:1], 20, classes=[name[::-1]])[0].tolist() == [[i]]
        assert gallery.known([r.path for r in records] + ["/elsewhere"]) == {r.path for r in records}


@pytest.mark.parametrize("engine", EXACT)
def test_copies_stand_in_the_order_of_their_numbers(address, engine, unit):
    """More of them than are proposed at first: an engine in float32 alone would show any of them."""
    rows = unit(300, 16).float()
    rows[torch.arange(40, 300, 3)] = rows[40].clone()
    records = [Record("line", "ant", f"/{i}") for i in range(300)]
    with open_gallery(address(engine)) as gallery:
        gallery.add(parts(rows, records), MODEL)
        ids, scores = gallery.search(rows[[40, 7]], 30)
    assert ids[0].tolist() == list(range(40, 130, 3)) and len(set(scores[0].tolist())) == 1
    assert ids.tolist() == slow(rows[[40, 7]], rows, 30, [True] * 300)[0].tolist()


@pytest.mark.parametrize("engine", EXACT)
def test_what_float32_cannot_tell_apart_is_told_apart(address, engine, unit, rng):
    """Rows that differ in their last digits: an engine in float32 alone proposes the wrong ones first."""
    rows = (unit(1, 64) + 5e-8 * torch.randn(400, 64, generator=rng)).float()
    rows /= rows.norm(dim=1, keepdim=True)
    records = [Record("line", "ant", f"/{i}") for i in range(400)]
    query = unit(1, 64).float()
    with open_gallery(address(engine)) as gallery:
        gallery.add(parts(rows, records), MODEL)
        ids, scores = gallery.search(torch.cat([rows[:5], query]), 10)
    expected, cosines = slow(torch.cat([rows[:5], query]), rows, 10, [True] * 400)
    assert ids.tolist() == expected.tolist() and torch.equal(scores, cosines)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_gallery_grows_by_what_is_new(address, engine, unit):
    rows = unit(60, 8).float()
    records = [Record("line", "ant", f"/{i}") for i in range(60)]
    with open_gallery(address(engine)) as gallery:
        assert len(gallery) == 0
        assert gallery.add(parts(rows[:40], records[:40], 16), MODEL) == 40
        assert gallery.add(parts(rows[:40], records[:40], 16), MODEL) == 0
        assert gallery.add(parts(rows[20:].repeat(2, 1), records[20:] * 2, 16), MODEL) == 20
        assert len(gallery) == 60 and gallery.model == MODEL and gallery.dim == 8
        assert gallery.records([59, 0]) == [records[59], records[0]]
        assert torch.equal(gallery.vectors([59, 0]), rows[[59, 0]])
        assert gallery.search(rows[[3, 45]], 1)[0].tolist() == [[3], [45]]
    if engine != "memory":
        with open_gallery(address(engine)) as again:
            assert len(again) == 60 and again.search(rows[[3, 45]], 1)[0].tolist() == [[3], [45]]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_build_that_fails_leaves_the_gallery_as_it_was(address, engine, unit):
    rows = unit(60, 8).float()
    records = [Record("line", "ant", f"/{i}") for i in range(60)]

    def broken(start):
        yield rows[start : start + 20], records[start : start + 20]
        raise InputError("the stream broke")

    with open_gallery(address(engine)) as gallery:
        with pytest.raises(InputError, match="the stream broke"):
            gallery.add(broken(0), MODEL)
        assert len(gallery) == 0
        gallery.add([(rows[:30], records[:30])], MODEL)
        with pytest.raises(InputError, match="the stream broke"):
            gallery.add(broken(30), MODEL)
        assert len(gallery) == 30
        assert set(gallery.search(rows[:1], 60)[0][0].tolist()) <= set(range(30))
        assert gallery.add(parts(rows, records), MODEL) == 30
        assert gallery.search(rows[[45]], 1)[0].tolist() == [[45]]


@pytest.mark.parametrize("engine", ENGINES)
def test_what_does_not_fit_is_refused(address, engine, unit):
    rows = unit(20, 8).float()
    records = [Record("line", "ant", f"/{i}") for i in range(20)]
    with open_gallery(address(engine)) as gallery:
        with pytest.raises(InputError, match="holds no images yet"):
            gallery.search(rows, 3)
        gallery.add([(rows, records)], MODEL)
        for wrong, reason in [
            (unit(20, 9).float(), "vectors of 8 numbers, not of 9"),
            (2 * rows, "not of unit length"),
            (rows * torch.nan, "not of unit length"),
            (rows[:3], "give a row"),
            (rows.long(), "floating-point numbers"),
        ]:
            with pytest.raises(InputError, match=reason):
                gallery.add([(wrong, records)], MODEL)
        with pytest.raises(InputError, match=r"holds vectors of Frozen .* not of UEM of a and b"):
            gallery.add([(rows, records)], "UEM of a and b")
        with pytest.raises(InputError, match="not of 9"):
            gallery.search(unit(1, 9).float(), 3)
        with pytest.raises(InputError, match="k = 0"):
            gallery.search(rows, 0)
        assert len(gallery) == 20


@pytest.mark.parametrize("error", [MilvusException(message="the server has gone"), KeyboardInterrupt()])
@pytest.mark.parametrize("late", [False, True], ids=["flush", "upsert"])
def test_milvus_has_all_or_nothing_of_a_build_that_fails_at_its_end(address, unit, monkeypatch, error, late):
    """The last flush fails, or the gallery's own row, which the server writes once nobody waits for it."""
    rows, calls = unit(60, 8).float(), []
    records = [Record("line", "ant", f"/{i}") for i in range(60)]

    def failing(self, *given, **options):
        calls.append((self, given, options))
        if late or len(calls) == 2:
            raise error
        return flush(self, *given, **options)

    flush, upsert = MilvusClient.flush, MilvusClient.upsert
    with open_gallery(address("milvus-server")) as gallery:
        gallery.add(parts(rows[:20], records[:20]), MODEL)
        with monkeypatch.context() as patch:
            patch.setattr(MilvusClient, "upsert" if late else "flush", failing)
            with pytest.raises((InputError, KeyboardInterrupt), match=getattr(error, "message", None)):
                gallery.add(parts(rows[:40], records[:40]), MODEL)
        if late:
            (client, given, options) = calls[0]
            upsert(client, *given, **options)
        for more in (0, 20):
            with open_gallery(address("milvus-server")) as again:
                assert list(again.walk()) == list(enumerate(records[: 40 + more]))
            assert gallery.add(parts(rows, records), MODEL) == 20 - more
        assert torch.equal(gallery.vectors(range(60)), rows)


@pytest.mark.parametrize("engine", ["faiss", "milvus-lite", "milvus-server"])
def test_a_killed_build_is_never_taken_for_whole(address, places, tmp_path, engine, unit):
    """A process that ends in the middle of a build, as a kill ends it, and a build after it."""
    import multiprocessing

    rows = unit(40, 8).float()
    records = [Record("line", "ant", f"/{i}") for i in range(40)]
    place = address(engine).replace(str(places["lite"]), f"{tmp_path}/own.db")  # one process has it open
    child = multiprocessing.get_context("spawn").Process(target=_killed, args=(place, rows, records))
    child.start()
    child.join()
    assert child.exitcode == -9
    with open_gallery(place) as gallery:
        assert len(gallery) == 20
        assert set(gallery.search(rows[:1], 40)[0][0].tolist()) <= set(range(20))
        assert gallery.add(parts(rows, records), MODEL) == 20 and len(gallery) == 40
        assert gallery.search(rows[[35]], 1)[0].tolist() == [[35]]
    if engine == "faiss":
        there = {path.name for path in tmp_path.iterdir()}
        assert there == {"gallery.faiss", "gallery.faiss.records", ".lock"}, "what the kill left is removed"


def _killed(place, rows, records):
    import os
    import signal

    with open_gallery(place) as gallery:
        gallery.add(parts(rows[:20], records[:20]), MODEL)

        def stream():
            yield rows[20:30], records[20:30]
            yield rows[30:35], records[30:35]
            os.kill(os.getpid(), signal.SIGKILL)

        gallery.add(stream(), MODEL)
