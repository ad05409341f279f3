"""A trained run at work: embedding a folder, and searching with an image or a text."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from pictures import write_tree
from PIL import Image

from tpsnet.data import decode, load_images, single_image
from tpsnet.errors import InputError
from tpsnet.evaluation import RERANKINGS
from tpsnet.experiments import Experiment, Source, embed_folder, embedder, search
from tpsnet.methods import FrozenConfig
from tpsnet.training import load_trained
from tpsnet.types import Embeddings


@pytest.fixture(scope="module")
def trained(tmp_path_factory, small_clip):
    """A run of TPSNet on flat and line, and the folder of its images."""
    from experiments.conftest import PROTOCOLS, SHORT

    folder = tmp_path_factory.mktemp("searched")
    classes = ("ant", "bee", "cat")
    root = write_tree(folder / "images", {"flat": classes, "line": classes}, each=6)
    source = Source(root, small_clip)
    Experiment(("flat", "line"), SHORT["TPSNet"].config, PROTOCOLS["closed"], source=source).run(
        folder / "run"
    )
    return folder / "run", root


def test_an_image_finds_its_neighbours_in_the_other_domain(trained):
    run, root = trained
    query = root / "flat" / "bee" / "3.png"
    hits = search(run, query, k=5)
    method = load_trained(run)
    _, images = load_images(single_image(query), method.given.resize)
    vector = method.embed(images, "flat")
    gallery = Embeddings.load(run / "embeddings" / "closed" / "TPSNet" / "gallery.safetensors")
    scores, order = (gallery.vectors @ vector[0]).sort(descending=True)
    assert [hit.path for hit in hits] == [str(gallery.paths[i]) for i in order[:5]]
    assert [hit.score for hit in hits] == pytest.approx(scores[:5].tolist(), abs=1e-6)
    assert [hit.rank for hit in hits] == [1, 2, 3, 4, 5] and hits[0].name == "bee"


def test_a_query_leaves_nothing_in_the_cache_of_its_folder(trained, tmp_path, monkeypatch):
    run, root = trained
    monkeypatch.setenv("TPSNET_CACHE", str(tmp_path))
    search(run, root / "flat" / "bee" / "3.png", k=1)
    assert not list(tmp_path.rglob("*.npy")) and not list(tmp_path.rglob("*.safetensors"))


def test_a_query_that_is_no_image_is_one_line(trained, tmp_path):
    broken = tmp_path / "flat" / "broken.png"
    broken.parent.mkdir()
    broken.write_bytes(b"broken")
    with pytest.raises(InputError, match=r"broken\.png: not an image, .*; give another image$"):
        search(trained[0], broken, k=1)


def test_the_searched_domain_follows_the_query(trained):
    run, root = trained
    there = search(run, root / "flat" / "ant" / "1.png", k=1)
    back = search(run, root / "line" / "ant" / "1.png", k=1)
    assert "/line/" in there[0].path and "/flat/" in back[0].path
    own = search(run, root / "flat" / "ant" / "1.png", k=1, gallery_domain="flat")
    # In bfloat16 one image alone is rounded otherwise than in the batch that training embedded.
    assert own[0].path == str(root / "flat" / "ant" / "1.png") and own[0].score > 0.99


def test_an_image_from_elsewhere_is_taken_to_be_of_the_domain_not_searched(trained, tmp_path):
    run, root = trained
    Image.open(root / "flat" / "cat" / "2.png").save(tmp_path / "mine.png")
    named = search(run, tmp_path / "mine.png", k=3, gallery_domain="line", domain="flat")
    assert search(run, tmp_path / "mine.png", k=3, gallery_domain="line") == named
    assert search(run, tmp_path / "mine.png", k=3) == named  # the second domain is the gallery


def test_a_text_is_a_query_too(trained):
    run, _ = trained
    hits = search(run, text="a bee", k=4, gallery_domain="flat")
    method = load_trained(run)
    gallery = Embeddings.load(run / "embeddings" / "closed" / "TPSNet" / "query.safetensors")
    order = (gallery.vectors @ method.embed_texts(["a bee"], "flat")[0]).argsort(descending=True)
    assert [hit.path for hit in hits] == [str(gallery.paths[i]) for i in order[:4]]


@pytest.mark.parametrize("name", RERANKINGS)
def test_a_new_query_is_re_ranked_by_its_neighbours_among_the_known(trained, name, tmp_path):
    """What the rule makes of the query, and of the gallery beside the other domain."""
    run, root = trained
    Image.open(root / "flat" / "cat" / "2.png").rotate(9, fillcolor="white").save(tmp_path / "mine.png")
    hits = search(run, tmp_path / "mine.png", k=12, reranking=name)
    method = load_trained(run)
    _, images = load_images(single_image(tmp_path / "mine.png"), method.given.resize)
    known = [
        Embeddings.load(run / "embeddings" / "closed" / "TPSNet" / f"{role}.safetensors").vectors
        for role in ("query", "gallery")
    ]
    moved, (_, gallery) = RERANKINGS[name](method.embed(images, "flat"), known)
    scores = (gallery @ moved[0]).sort(descending=True).values
    assert [hit.score for hit in hits] == pytest.approx(scores[:12].tolist(), abs=1e-6)
    plain = search(run, tmp_path / "mine.png", k=12)
    assert [hit.score for hit in plain] != [hit.score for hit in hits]
    assert search(run, text="a bee", k=3, reranking=name)[0].path


def test_the_embedder_of_a_browser_embeds_as_the_run_does(trained):
    run, root = trained
    method = load_trained(run)
    ask, folder = embedder(method), embed_folder(run, root / "flat")
    torch.testing.assert_close(ask("a bee", "flat"), method.embed_texts(["a bee"], "flat"))
    for i in (0, 7):
        row = ask(decode(folder.paths[i]), "flat")
        torch.testing.assert_close(row[0], folder.vectors[i], atol=1e-5, rtol=0)


def test_an_unknown_re_ranking_is_one_line(trained):
    with pytest.raises(InputError, match="no re-ranking 'magic'; choose from expansion, diffusion"):
        search(trained[0], text="a bee", reranking="magic")


def test_a_folder_is_embedded_as_training_embedded_it(trained, tmp_path):
    run, root = trained
    found = embed_folder(run, root / "line")
    expected = Embeddings.load(run / "embeddings" / "closed" / "TPSNet" / "gallery.safetensors")
    place = {path: i for i, path in enumerate(found.paths)}
    torch.testing.assert_close(
        found.vectors[[place[path] for path in expected.paths]], expected.vectors, atol=1e-5, rtol=0
    )
    new = write_tree(tmp_path / "new", {"line": ("dog",)}, each=3)
    assert embed_folder(run, new, domain="line").vectors.shape == (3, found.vectors.shape[1])


def test_more_results_than_images_are_all_of_them(trained):
    run, root = trained
    assert len({hit.path for hit in search(run, root / "line" / "ant" / "1.png", k=99)}) == 18


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["search", "{run}"], "one image or one --text"),
        (["search", "{run}", "{root}/flat/bee/3.png", "--text", "bee"], "one image or one --text"),
        (["search", "{root}/nowhere", "--text", "bee"], "no run folder"),
        (["search", "{root}", "--text", "bee"], "holds no model.safetensors"),
        (["search", "{run}", "{root}/flat/bee/99.png"], "no such image file"),
        (["search", "{run}", "{root}/flat/bee"], "is a folder; give one image file"),
        (["search", "{run}", "--text", " "], "the text of the query is empty"),
        (["embed", "{run}", "{root}/flat", "{run}/out.npy"], "give a name with .safetensors"),
        (
            ["search", "{run}", "--text", "bee", "--gallery-domain", "photo"],
            "'photo' is not one of the trained pair",
        ),
        (["search", "{run}", "{root}/flat/bee/3.png", "--domain", "photo"], "'photo' is not one of"),
        (["search", "{run}", "--text", "bee", "-k", "0"], "k = 0: give a whole number from 1"),
        (["embed", "{run}", "{root}/nowhere", "{run}/out"], "nowhere"),
        (["embed", "{run}", "{root}/flat/bee", "{run}/out"], "'bee' is not one of the trained pair"),
    ],
)
def test_bad_input_is_one_line_and_two(trained, arguments, message, capsys):
    from tpsnet import cli

    run, root = trained
    assert cli.main([a.format(run=run, root=root) for a in arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and error.startswith("tpsnet: ") and error.count("\n") == 1


def test_a_method_without_texts_says_so(tmp_path, root, small_clip, monkeypatch):
    """A MoCo network has no text tower."""
    source = Source(root, small_clip)
    Experiment(("flat", "line"), FrozenConfig(centred=True), source=source).run(tmp_path / "run")
    monkeypatch.setattr("tpsnet.methods.base.Backbone", type("NoClip", (), {}))
    with pytest.raises(InputError, match="a text query to Frozen needs a CLIP"):
        search(tmp_path / "run", text="bee")


def test_the_shell_prints_lines_for_people_and_json_for_machines(trained):
    """In a fresh process, as the shell sees it."""
    run, root = trained
    program = [
        sys.executable,
        "-m",
        "tpsnet.cli",
        "search",
        str(run),
        str(root / "flat/bee/3.png"),
        "-k",
        "2",
    ]
    plain = subprocess.run(program, capture_output=True, text=True, check=True).stdout.splitlines()
    parsed = json.loads(
        subprocess.run([*program, "--json"], capture_output=True, text=True, check=True).stdout
    )
    hits = search(run, root / "flat/bee/3.png", k=2)
    assert [(h["rank"], h["name"], h["path"]) for h in parsed] == [(h.rank, h.name, h.path) for h in hits]
    assert len(plain) == 2 and plain[0].split()[0] == "1" and plain[0].endswith(hits[0].path)


def test_the_artefact_of_another_experiment_is_searched_by_its_own_embeddings(trained, tmp_path, small_clip):
    """Gallery and query come from one run folder."""
    run, root = trained
    other = replace(Experiment.load(run / "config.json"), config=FrozenConfig())
    other.run(tmp_path / "frozen")
    hits = search(tmp_path / "frozen", root / "flat/bee/3.png", k=1)
    gallery = Embeddings.load(
        tmp_path / "frozen" / "embeddings" / "closed" / "Frozen" / "gallery.safetensors"
    )
    assert hits[0].path in map(str, gallery.paths)
