"""One string names engine, place and options; what cannot be opened is one line."""

import socket
import sqlite3
import subprocess
import sys
import tracemalloc

import faiss
import numpy as np
import pytest
import torch
from caches import largest_file
from galleries.conftest import MODEL, parts

from tpsnet.errors import InputError
from tpsnet.galleries import Record, open_gallery
from tpsnet.galleries.milvus import QUIET
from tpsnet.paths import claimed


def records(n):
    return [Record("line", "ant", f"/{i}") for i in range(n)]


def fill(address, rows):
    with open_gallery(address) as gallery:
        return gallery.add(parts(rows, records(len(rows))), MODEL)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("line", "is no address of a gallery"),
        ("faiss:", "is no address of a gallery"),
        ("milvus:gallery.sqlite", "is no address of a gallery"),
        ("http://", "is no address of a gallery"),
        ("http://me:secret@host:19530", "an address holds no password"),
        ("faiss:{folder}/g.faiss?lists", "written as"),
        ("faiss:{folder}/g.faiss?nlist=3", "no option 'nlist'; there are index, lists, probes"),
        ("faiss:{folder}/g.faiss?index=hnsw", "index = 'hnsw'"),
        ("faiss:{folder}/g.faiss?probes=0", "probes = 0: give a whole number from 1"),
        ("milvus:{folder}/g.db?collection=a-b", "collection = 'a-b': give letters"),
        ("faiss:{folder}/text.faiss", "no text.faiss.records beside it"),
        ("faiss:{folder}", "no regular file"),
        ("milvus:{folder}/text.db", "is a file, where Milvus Lite has a folder"),
    ],
)
def test_what_is_no_gallery_is_one_line(tmp_path, address, reason, unchecked):
    for name in ("text.faiss", "text.db"):
        (tmp_path / name).write_text("no gallery")
    with pytest.raises(InputError, match=reason) as error:
        open_gallery(address.format(folder=tmp_path))
    assert "\n" not in str(error.value) and "secret" not in str(error.value)


def test_a_server_that_is_down_is_one_line():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # bound and not listening: nobody answers
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(InputError, match=r"Fail connecting.*start the server") as error:
            open_gallery(address)
    assert address in str(error.value) and "\n" not in str(error.value)


def test_a_collection_of_somebody_else_is_left_alone(places):
    from pymilvus import MilvusClient

    client = MilvusClient(places["server"], grpc_options=QUIET)
    client.create_collection("others", dimension=4)
    with pytest.raises(InputError, match="'others' is not tpsnet's"):
        open_gallery(f"{places['server']}?collection=others")
    assert client.has_collection("others")
    client.close()


def test_the_flat_index_is_the_file_that_faiss_writes(tmp_path, unit):
    rows = unit(50, 12).float()
    assert fill(f"faiss:{tmp_path}/g.faiss", rows[:30]) == 30
    assert fill(f"faiss:{tmp_path}/g.faiss", rows) == 20
    index = faiss.IndexFlatIP(12)
    index.add(rows.numpy())
    faiss.write_index(index, str(tmp_path / "own.faiss"))
    assert (tmp_path / "g.faiss").read_bytes() == (tmp_path / "own.faiss").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"g.faiss", "g.faiss.records", "own.faiss", ".lock"}


@pytest.mark.parametrize("damage", ["shorter", "longer", "head", "other", "records", "no-database", "lists"])
def test_a_damaged_file_is_refused_before_it_is_used(tmp_path, unit, damage):
    file, rows = tmp_path / "g.faiss", unit(50, 12).float()
    options = "?index=ivf&lists=4" if damage == "lists" else ""
    fill(f"faiss:{file}{options}", rows)
    whole, beside = file.read_bytes(), tmp_path / "g.faiss.records"
    match damage:
        case "shorter" | "lists":
            file.write_bytes(whole[:-7])
        case "longer":
            file.write_bytes(whole + b"more")
        case "head":  # a size that no memory holds
            file.write_bytes(whole[:8] + (2**60).to_bytes(8, "little") + whole[16:])
        case "other":
            index = faiss.IndexFlatIP(12)
            index.add(unit(50, 12).float().numpy())
            faiss.write_index(index, str(file))
        case "records":
            with sqlite3.connect(beside) as base:
                base.execute("UPDATE facts SET value = '2' WHERE name = 'format'")
        case "no-database":
            beside.write_bytes(b"no database")
    with pytest.raises(InputError, match=r"g\.faiss.*restore the file") as error:
        open_gallery(f"faiss:{file}")
    assert "\n" not in str(error.value)


def test_options_that_do_not_fit_what_is_there_are_refused(tmp_path, unit, places):
    flat, lists = f"faiss:{tmp_path}/flat.faiss", f"faiss:{tmp_path}/lists.faiss"
    fill(flat, unit(50, 12).float())
    fill(f"{lists}?index=ivf&lists=4", unit(50, 12).float())
    collection = f"{places['server']}?collection=flat"
    fill(collection, unit(5, 12).float())
    for address, reason in [
        (f"{flat}?index=ivf", "is flat, not ivf"),
        (f"{lists}?index=flat", "is ivf, not flat"),
        (f"{lists}?lists=5", "has 4 lists, not 5"),
        (f"{collection}&index=hnsw", "is flat; leave index= out"),
    ]:
        with pytest.raises(InputError, match=reason):
            open_gallery(address)
    with open_gallery(f"{lists}?probes=2") as gallery:
        assert gallery.engine == "faiss IVF, 2 of 4 lists" and not gallery.exact
    with pytest.raises(InputError, match="1024 lists of 50 vectors; give lists= of 50 or fewer"):
        fill(f"faiss:{tmp_path}/few.faiss?index=ivf", unit(50, 12).float())


@pytest.mark.parametrize("options", ["", "?index=ivf&lists=4"])
def test_a_full_disk_leaves_the_older_gallery(tmp_path, unit, options):
    address, rows = f"faiss:{tmp_path}/g.faiss", unit(5000, 64).float()
    fill(f"{address}{options}", rows[:100])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with largest_file(2**20), pytest.raises(InputError, match="cannot write"):
        fill(address, rows)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    with open_gallery(address) as gallery:
        assert len(gallery) == 100


@pytest.mark.parametrize("options", ["", "?index=ivf&lists=4"])
def test_index_and_records_lie_behind_a_link(tmp_path, unit, options):
    """The link comes first and leads nowhere yet; either name is the same gallery afterwards."""
    rows, (store, shown) = unit(50, 12).float(), (tmp_path / "store", tmp_path / "shown")
    shown.mkdir()
    (shown / "link.faiss").symlink_to("../store/g.faiss")
    link, file = f"faiss:{shown}/link.faiss", f"faiss:{store}/g.faiss"
    assert fill(f"{link}{options}", rows[:20]) == 20
    assert fill(file, rows[:30]) == 10 and fill(link, rows) == 20
    for address in (link, file):
        with open_gallery(address) as gallery:
            assert list(gallery.walk()) == list(enumerate(records(50)))
    assert {path.name for path in store.iterdir()} == {"g.faiss", "g.faiss.records", ".lock"}
    assert [path.name for path in shown.iterdir()] == ["link.faiss"] and (shown / "link.faiss").is_symlink()


def test_a_link_in_a_circle_is_one_line(tmp_path, unit):
    (tmp_path / "g.faiss").symlink_to("g.faiss")
    with pytest.raises(InputError, match=r"cannot write .*g\.faiss") as error:
        fill(f"faiss:{tmp_path}/g.faiss", unit(5, 12).float())
    assert "\n" not in str(error.value)


def test_two_builds_in_one_folder_do_not_mix(tmp_path):
    program = (
        "import sys, torch\n"
        "from tpsnet.errors import InputError\n"
        "from tpsnet.galleries import Record, open_gallery\n"
        "try: open_gallery(sys.argv[1]).add([(torch.eye(2)[:1], [Record('a', 'b', 'c')])], 'm')\n"
        "except InputError as error: print(error)"
    )
    call = [sys.executable, "-c", program, f"faiss:{tmp_path}/g.faiss"]
    with claimed(tmp_path):
        done = subprocess.run(call, capture_output=True, text=True, check=True)
    assert "another process writes to" in done.stdout and not (tmp_path / "g.faiss").exists()


def test_a_build_holds_some_vectors_at_a_time(tmp_path):
    """8,000 vectors of 1024 numbers are 33 MB; a build holds some of them at a time."""
    n, dim, at_once = 8000, 1024, 500
    rng = np.random.default_rng(0)

    def stream():
        for start in range(0, n, at_once):
            rows = rng.standard_normal((at_once, dim), dtype=np.float32)
            rows /= np.linalg.norm(rows, axis=1, keepdims=True)
            names = [Record("line", "ant", f"/{i}") for i in range(start, start + at_once)]
            yield torch.from_numpy(rows), names

    with open_gallery(f"faiss:{tmp_path}/g.faiss") as gallery:
        tracemalloc.start()
        assert gallery.add(stream(), MODEL) == n
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < n * dim * 4 / 4
