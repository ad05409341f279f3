"""``tpsnet index`` and ``tpsnet search --gallery``: a run and folders of new images behind an address."""

import json
import subprocess
import sys
import zlib
from dataclasses import replace

import pytest
from galleries.conftest import milvus_server
from pictures import write_tree

from tpsnet import cli
from tpsnet.errors import InputError
from tpsnet.experiments import Experiment, Source, embed_folder, index, search
from tpsnet.galleries import open_gallery
from tpsnet.methods import FrozenConfig
from tpsnet.training import fingerprint, load_trained

CLASSES = ("ant", 'b"\\ee', "cat")


@pytest.fixture(scope="module")
def run(tmp_path_factory, small_clip):
    """A run of Frozen on flat and line, and the folder of its images."""
    folder = tmp_path_factory.mktemp("indexed")
    root = write_tree(folder / "images", {"flat": CLASSES, "line": CLASSES}, each=4)
    Experiment(("flat", "line"), FrozenConfig(), source=Source(root, small_clip)).run(folder / "run")
    return folder / "run", root


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with milvus_server(tmp_path_factory.mktemp("milvus") / "server") as address:
        yield address


@pytest.fixture(params=["faiss:{folder}/g.faiss", "milvus:{folder}/g.db", "{server}?collection={name}"])
def address(request, tmp_path, server):
    return request.param.format(folder=tmp_path, server=server, name=f"c{zlib.crc32(str(tmp_path).encode())}")


def test_every_engine_answers_as_the_run_itself(run, address):
    folder, root = run
    done = index(folder, gallery=address)
    assert done.added == 24 and done.described.endswith("exact, 24 images")
    query = root / "flat" / CLASSES[1] / "3.png"
    for asked in ({"image": query}, {"image": query, "gallery_domain": "flat"}, {"text": "an ant"}):
        hits, own = search(folder, k=7, gallery=address, **asked), search(folder, k=7, **asked)
        assert list(hits) == list(own) and hits.described == done.described
    only = search(folder, query, k=20, gallery=address, gallery_classes=[CLASSES[1]])
    assert {hit.name for hit in only} == {CLASSES[1]} and len(only) == 4
    assert only == search(folder, query, k=20, gallery_classes=[CLASSES[1]])


def test_milvus_lite_says_nothing_of_its_own_and_a_misspelt_name_leaves_nothing(run, tmp_path):
    """In a process of its own: what a server in it logs goes past pytest."""
    folder, root = run
    query = root / "flat" / CLASSES[1] / "3.png"
    address = f"milvus:{tmp_path}/g.db"
    for line in (["index", str(folder)], ["search", str(folder), str(query), "-k", "1"]):
        done = subprocess.run(
            [sys.executable, "-m", "tpsnet.cli", *line, "--gallery", address], capture_output=True, text=True
        )
        assert done.returncode == 0 and len(done.stderr.splitlines()) <= 1, done.stderr
    with pytest.raises(InputError):
        search(folder, query, k=1, gallery=f"milvus:{tmp_path}/h.db")
    assert not (tmp_path / "h.db").exists() and (tmp_path / "g.db").exists()


def test_new_images_are_added_once_and_found(run, address, tmp_path, monkeypatch):
    folder, root = run
    monkeypatch.setattr("tpsnet.experiments.indexing.CHUNK", 4)
    new = write_tree(tmp_path / "new", {"line": ("dog", "eel")}, each=5)
    (new / "line" / "eel" / "9.png").write_bytes(b"broken")
    (new / "line" / "loose.png").write_bytes((new / "line" / "dog" / "0.png").read_bytes())
    index(folder, gallery=address)
    assert index(folder, [new / "line", root / "line"], gallery=address).added == 11
    assert index(folder, [new / "line", root / "line"], gallery=address).added == 0
    vectors = embed_folder(folder, new / "line")
    hit = search(folder, new / "line" / "dog" / "2.png", k=1, gallery=address, gallery_domain="line")[0]
    assert hit.path == str(new / "line" / "dog" / "2.png") and hit.name == "dog" and hit.score > 0.99
    with open_gallery(address) as gallery:
        assert len(gallery) == 35 and gallery.model == fingerprint(load_trained(folder))
        stored = {record.path: (i, record) for i, record in gallery.walk()}
        ids = [stored[str(path)][0] for path in vectors.paths]
        assert (gallery.vectors(ids) - vectors.vectors).abs().max() < 1e-4
        assert stored[str(new / "line" / "loose.png")][1].name == "unlabelled"


def test_a_gallery_of_another_model_is_refused(run, address, tmp_path):
    folder, root = run
    index(folder, gallery=address)
    other = replace(Experiment.load(folder / "config.json"), config=FrozenConfig(centred=True))
    other.run(tmp_path / "other")
    query = root / "flat" / "ant" / "1.png"
    for call in (
        lambda: index(tmp_path / "other", gallery=address),
        lambda: search(tmp_path / "other", query, gallery=address),
    ):
        with pytest.raises(InputError, match=r"holds vectors of Frozen of flat and line \(.*not of Frozen"):
            call()


def test_the_shell(run, tmp_path, capsys):
    folder, root = run
    address = f"faiss:{tmp_path}/g.faiss"
    assert cli.main(["index", str(folder), str(root / "line"), "--gallery", address]) == 0
    assert "added 24; faiss flat, exact, 24 images" in capsys.readouterr().out
    call = ["search", str(folder), str(root / "flat" / "ant" / "1.png"), "-k", "3", "--gallery", address]
    assert cli.main(call) == 0
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == 3 and shown.err == "ranked by faiss flat, exact, 24 images\n"
    assert cli.main([*call, "--json", "--gallery-classes", "cat", "ant"]) == 0
    hits = json.loads(capsys.readouterr().out)
    assert list(hits[0]) == ["rank", "score", "name", "path"] and {hit["name"] for hit in hits} <= {
        "cat",
        "ant",
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["index", "{run}", "--gallery", "memory"], "memory ends with the command"),
        (["index", "{run}", "--gallery", "line"], "'line' is no address of a gallery"),
        (["index", "{run}", "{root}/nowhere", "--gallery", "faiss:{folder}/g"], "nowhere"),
        (["index", "{run}", "{root}/flat/ant", "--gallery", "faiss:{folder}/g"], "'ant' is not one of the"),
        (["index", "{root}", "--gallery", "faiss:{folder}/g"], "holds no model.safetensors"),
        (["search", "{run}", "--text", "ant", "--gallery", "flat"], "'flat' is no address of a gallery"),
        (["search", "{run}", "--text", "ant", "--gallery", "faiss:{folder}/g"], "holds no images yet"),
        (
            ["search", "{run}", "--text", "ant", "--gallery-classes", "dog"],
            "no image of domain 'line' of class",
        ),
        (["search", "{run}", "--text", "a", "--gallery", "http://127.0.0.1:1"], "start the server"),
        (
            ["search", "{run}", "--text", "a", "--gallery", "faiss:{folder}/g", "--rerank", "diffusion"],
            "a re-ranking moves the images of the run",
        ),
    ],
)
def test_bad_input_is_one_line_and_two(run, tmp_path, arguments, message, capsys):
    folder, root = run
    assert cli.main([a.format(run=folder, root=root, folder=tmp_path) for a in arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and error.startswith("tpsnet: ") and error.count("\n") == 1
    assert not [path for path in tmp_path.iterdir() if path.name != ".lock"]
